/** Expressions whose results are compared with those of the real helm. One line each; `.Values` comes from `CASE_VALUES`. */
export const CASE_VALUES = `
name: web
count: 3
big: 1000000
ratio: 2.5
flag: true
none: null
empty: ""
list: [b, a, 3, null, true]
map: {b: 1, a: {c: deep}, "key with space": x}
`;

export const CASES: readonly string[] = [
  '{{ 1000000.0 }} {{ 100000.0 }} {{ 123456789.0 }} {{ 1e21 }} {{ 0.00001 }} {{ 12345678.5 }} {{ 0x1F }} {{ 017 }} {{ 1_000 }} {{ -3 }} {{ .5 }}',
  '{{ .Values.big }} {{ kindOf .Values.big }} {{ .Values.big | toYaml }} {{ .Values.big | int }} {{ .Values.count }} {{ .Values.ratio }}',
  '{{ print 1 2 "a" 3 nil }}|{{ println 1 "a" }}|{{ print nil }}|{{ list nil 1 }}|{{ .Values.map }}|{{ .Values.list }}',
  '{{ printf "%d|%5d|%-5d|%05d|%x|%X|%o|%b|%c|%q|%U|%+d|%e" 42 42 42 42 255 255 8 5 65 65 9731 3 7 }}',
  '{{ printf "%s|%q|%10s|%-10s|%.2s|%x|%v|%T" "ab" "a\\"b" "ab" "ab" "abc" "hi" "v" "t" }}',
  '{{ printf "%f|%.2f|%8.3f|%g|%e|%v|%d|%T" 1.5 2.345 3.14159 1e6 12345.678 2.0 2.0 1.0 }}',
  '{{ printf "%d %s" "x" 5 }}|{{ printf "%d" }}|{{ printf "a" 1 2 }}|{{ printf "%!" }}|{{ printf "%z" 1 }}|{{ printf "%t %v" true nil }}|{{ printf "%[2]d %[1]d" 1 2 }}|{{ printf "%*d" 5 1 }}',
  '{{ printf "%v %s %q" (list 1 "a") (list "x" "y") (list "x") }} {{ printf "%v %d" (dict "a" 1) (dict "a" 1) }} {{ printf "%%" }}',
  '{{ if and .Values.flag (eq .Values.name "web") }}yes{{ else }}no{{ end }} {{ or .Values.empty .Values.none "x" }} {{ not .Values.flag }} {{ and 1 0 2 }} {{ or 0 "" }}',
  '{{ eq 1 1 }} {{ eq 1 2 3 1 }} {{ ne "a" "b" }} {{ lt 1 2 }} {{ le 2 2 }} {{ gt "b" "a" }} {{ ge 1.5 1.5 }} {{ eq .Values.none nil }}',
  '{{ range $i, $e := .Values.list }}[{{ $i }}:{{ $e }}]{{ end }} {{ range $k, $v := .Values.map }}({{ $k }}={{ $v }}){{ end }} {{ range 3 }}{{ . }}{{ end }} {{ range list }}x{{ else }}none{{ end }}',
  '{{ range $i, $e := list 1 2 3 4 5 }}{{ if eq $e 2 }}{{ continue }}{{ end }}{{ if eq $e 4 }}{{ break }}{{ end }}{{ $e }}{{ end }}',
  '{{ $x := 1 }}{{ if true }}{{ $x = 2 }}{{ $y := 5 }}{{ $y }}{{ end }}{{ $x }} {{ with $y := "q" }}{{ . }}{{ $y }}{{ end }}',
  '{{- /* comment */ -}} a {{- " b " -}} c {{ "d" -}}   e',
  '{{ with .Values.map.a }}{{ .c }}{{ end }}{{ with .Values.nothing }}x{{ else with .Values.name }}{{ . }}{{ end }}{{ with nil }}{{ else }}z{{ end }}',
  '{{ define "t1" }}<{{ . }}>{{ end }}{{ template "t1" .Values.name }}{{ include "t1" 5 | indent 2 }}{{ block "t2" 7 }}[{{ . }}]{{ end }}',
  '{{ index .Values.list 1 }} {{ index .Values.map "a" "c" }} {{ len .Values.list }} {{ len "héé" }} {{ len .Values.map }} {{ slice .Values.list 1 3 }}',
  '{{ .Values.map | toYaml | nindent 4 }} {{ .Values.list | toYaml | indent 2 }} {{ toJson .Values.map }} {{ toPrettyJson .Values.map }}',
  '{{ default "d" .Values.empty }} {{ default "d" .Values.name }} {{ default 5 0 }} {{ coalesce nil "" 3 }} {{ ternary 1 2 false }} {{ empty list }} {{ .Values.none | default "n" }}',
  '{{ upper "ab" }} {{ lower "AB" }} {{ title "hello wOrld foo-bar" }} {{ untitle "Hello" }} {{ trim " x " }} {{ trimSuffix "b" "ab" }} {{ trimPrefix "a" "ab" }} {{ trimAll "$" "$5$" }} {{ repeat 3 "ab" }} {{ substr 1 3 "hello" }} {{ substr 1 -1 "hello" }} {{ trunc 3 "hello" }} {{ trunc -3 "hello" }} {{ nospace "a b" }} {{ initials "foo bar" }}',
  '{{ abbrev 5 "hello world" }} {{ abbrevboth 5 10 "1234 5678 9123" }} {{ wrap 5 "aaa bbb ccc" }} {{ wrapWith 5 "-" "Hello World" }} {{ swapcase "aB" }} {{ snakecase "FooBarHTTPServer" }} {{ camelcase "foo_bar-baz" }} {{ kebabcase "FooBar" }}',
  '{{ contains "a" "bab" }} {{ hasPrefix "a" "ab" }} {{ hasSuffix "b" "ab" }} {{ quote 1 nil "x" }} {{ squote "a" }} {{ cat 1 nil "x" }} {{ replace "a" "b" "aaa" }} {{ plural "one" "many" 2 }} {{ join "," (list 1 nil "x") }} {{ splitList "," "a,b" }} {{ (split "," "a,b")._1 }} {{ splitn "," 2 "a,b,c" }} {{ sortAlpha (list "b" "a") }}',
  '{{ sha1sum "a" }} {{ sha256sum "a" }} {{ adler32sum "abc" }} {{ b64enc "héllo" }} {{ b64dec "aGk=" }} {{ b32enc "x" }} {{ b32dec "PA======" }}',
  '{{ add 1 2 3 }} {{ add 1.9 "3" }} {{ sub 5 2 }} {{ mul 2 3 4 }} {{ div 7 2 }} {{ mod -7 2 }} {{ max 1 5 2.9 }} {{ min 3 1 }} {{ add1 4 }} {{ floor 2.7 }} {{ ceil 2.1 }} {{ round 2.5555 2 }} {{ addf 1.5 2 }} {{ divf 1 4 }} {{ maxf 1 2.5 }} {{ int "12" }} {{ int "0x10" }} {{ int64 "1e3" }} {{ float64 "1.50" }} {{ toDecimal "777" }} {{ until 3 }} {{ untilStep 1 10 3 }} {{ seq 5 }} {{ seq 0 2 10 }} {{ atoi "x" }}',
  '{{ dict "a" 1 "b" (dict "c" 2) }} {{ get (dict "a" 1) "a" }} {{ hasKey (dict "a" 1) "b" }} {{ keys (dict "b" 1 "a" 2) | sortAlpha }} {{ pick (dict "a" 1 "b" 2) "a" }} {{ omit (dict "a" 1 "b" 2) "a" }} {{ values (dict "a" 1) }} {{ pluck "a" (dict "a" 1) (dict "b" 2) }} {{ dig "a" "b" "def" (dict "a" (dict "b" 1)) }} {{ dig "x" "def" (dict "a" 1) }} {{ unset (dict "a" 1 "b" 2) "a" }} {{ set (dict "a" 1) "c" 3 }}',
  '{{ merge (dict "a" false "b" "" "c" (dict "d" 1) "n" nil "m" 0) (dict "a" true "b" "z" "c" (dict "d" 5 "f" 2) "n" 4 "m" 5) | toJson }} {{ mergeOverwrite (dict "a" true "b" "x" "c" (dict "d" 1)) (dict "a" false "b" "" "c" (dict "e" nil "f" 2)) | toJson }} {{ deepCopy (dict "a" (list 1)) }}',
  '{{ append (list 1) 2 }} {{ prepend (list 1) 0 }} {{ first (list 1 2) }} {{ last (list 1 2) }} {{ rest (list 1 2 3) }} {{ initial (list 1 2 3) }} {{ reverse (list 1 2) }} {{ uniq (list 1 1 2) }} {{ without (list 1 2 3) 2 }} {{ has 4 (list 1 2) }} {{ compact (list 1 "" nil 2) }} {{ concat (list 1) (list 2) }} {{ chunk 2 (list 1 2 3) }} {{ toStrings (list 1 2) }}',
  // biome-ignore lint/suspicious/noTemplateCurlyInString: the placeholder is that of the template's own function.
  '{{ regexMatch "^a+$" "aaa" }} {{ regexFind "[0-9]+" "ab12" }} {{ regexFindAll "[2468]" "123456" 2 }} {{ regexReplaceAll "a(x*)b" "-ab-axxb-" "${1}W" }} {{ regexReplaceAllLiteral "a" "banana" "$1" }} {{ regexSplit "z+" "pizza" -1 }} {{ regexQuoteMeta "1.2" }}',
  '{{ semverCompare ">=1.20-0" "1.25.3-gke.1" }} {{ semverCompare "^1.2" "1.9.0" }} {{ semverCompare "~1.2.3" "1.3.0" }} {{ semverCompare ">1.2, <2 || 3.x" "3.1.0" }} {{ (semver "1.2.3-a+b").Minor }} {{ semver "v1.2" }}',
  '{{ typeOf 1 }} {{ typeOf "a" }} {{ kindOf list }} {{ typeOf dict }} {{ kindIs "string" "x" }} {{ typeIs "int" 1 }} {{ deepEqual (list 1) (list 1) }} {{ typeOf nil }} {{ kindOf 1.5 }}',
  '{{ fromYaml "a: 1\\nb: [x, yes]" }} {{ (fromJson "{\\"a\\": {\\"b\\": 2}}").a.b }} {{ fromYamlArray "- 1\\n- a" }} {{ fromYaml "[" | len }} {{ fromYaml "on: off" | toJson }}',
  '{{ tpl "{{ .Values.name }}-{{ .x }}" (dict "Values" .Values "x" 1 "Template" .Template) }} {{ required "need" .Values.name }} {{ lookup "v1" "Pod" "a" "b" }}',
  '{{ urlParse "http://u:p@h:80/p?q=1#f" | toJson }} {{ urlJoin (dict "scheme" "http" "host" "h" "path" "/p") }} {{ base "/a/b" }} {{ dir "/a/b" }} {{ ext "a.b" }} {{ clean "/a/../b" }} {{ html "<a&b>" }} {{ urlquery "a b&c" }} {{ js "it\'s" }}',
  '{{ (list 1 2 3 | first) }} {{ "x" | printf "%s-%s" "a" }} {{ (dict "a" (dict "b" "c")).a.b }} {{ $.Values.name }} {{ .Values.name | upper | quote }}',
  '{{ .Release.Name }} {{ .Release.Namespace }} {{ .Chart.Name }} {{ .Chart.Version }} {{ .Template.BasePath }} {{ .Capabilities.APIVersions.Has "v1" }} {{ .Release.IsInstall }} {{ .Release.Service }}',
  // Failures: the message must be the same.
  '{{ .Values.none.x }}',
  '{{ .Values.name.x }}',
  '{{ index .Values.list 9 }}',
  '{{ fail "stop here" }}',
  '{{ required "value is needed" .Values.none }}',
  '{{ include "nowhere" . }}',
  '{{ eq .Values.count 3 }}',
  '{{ upper 5 }}',
  '{{ upper }}',
  '{{ template "nowhere" }}',
  '{{ lt 1 "a" }}',
  '{{ range "abc" }}{{ end }}',
  '{{ .Values.list.foo }}',
  '{{ 5 6 }}',
  '{{ if }}{{ end }}',
  '{{ nofunc 1 }}',
  '{{ $q }}',
  '{{ end }}',
  '{{ if true }}',
  '{{ "a }}',
  '{{ break }}',
  '{{ 1 | 2 }}',
  '{{ .Values.name',
  '{{ (1 }}',
];
