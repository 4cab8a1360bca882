/** Shells that istioctl has completion scripts for. */
export type Shell = 'bash' | 'zsh' | 'fish' | 'powershell';

/**
 * The completion script of a shell. It asks `PROGRAM __complete -- WORDS` for candidates, so it never has to be renewed when the program gets new commands:
 * a candidate a line, a tab before its description; last a line `:words`, `:nospace` (the user types on behind the word), `:files` or `:folders` (the shell
 * completes names of files itself). Works when it is sourced alone, without a completion package.
 */
export function completionScript(shell: Shell, program: string, descriptions: boolean): string {
  switch (shell) {
    case 'bash':
      return bash(program, descriptions);
    case 'zsh':
      return zsh(program, descriptions);
    case 'fish':
      return fish(program, descriptions);
    case 'powershell':
      return powershell(program, descriptions);
  }
}

// In these scripts `\\` and `\${` are what the shell reads as one backslash and as an expansion.
const bash = (program: string, descriptions: boolean): string => `# Completion of ${program} for bash (3.2 and later).

__${program}_complete() {
    local line=\${COMP_LINE:0:COMP_POINT} index piece rest
    local -a words=()
    # bash has cut the line at = and : too; here they belong to the word.
    for ((index = 0; index <= COMP_CWORD; index++)); do
        piece=\${COMP_WORDS[index]}
        rest=\${line#"\${line%%[![:space:]]*}"}
        if ((index == COMP_CWORD)); then piece=$rest; fi
        if ((index > 0)) && [[ $rest == "$line" && \${#words[@]} -gt 0 ]]; then
            words[\${#words[@]}-1]+=$piece
        else
            words[\${#words[@]}]=$piece
        fi
        line=\${rest#"$piece"}
    done
    words=("\${words[@]//[\\"\\'\\\\]/}")

    # An alias or a function is no program that could be asked.
    local program=\${words[0]/#\\~/$HOME}
    type -P -- "$program" >/dev/null || program=${program}
    local current=\${words[\${#words[@]}-1]} answer directive word
    answer=$("$program" __complete -- "\${words[@]:1}" 2>/dev/null) || return 1
    directive=\${answer##*$'\\n'}

    # What stands before the last = or : is not part of the word that bash replaces.
    local kept=""
    [[ $current == *[=:]* && $COMP_WORDBREAKS == *=* ]] && kept=\${current%"\${current##*[=:]}"}

    COMPREPLY=()
    case $directive in
    :files | :folders)
        local action=-f path=\${current#"$kept"}
        [[ $current == --*=* ]] && path=\${current#*=}
        [[ $directive == :folders ]] && action=-d
        while IFS= read -r word; do COMPREPLY[\${#COMPREPLY[@]}]=$word; done < <(compgen "$action" -- "$path")
        type compopt >/dev/null 2>&1 && compopt -o filenames 2>/dev/null
        return 0
        ;;
    :nospace)
        type compopt >/dev/null 2>&1 && compopt -o nospace 2>/dev/null
        ;;
    esac

    local -a found=() about=()
    local width=0 tab=$'\\t'
    while IFS= read -r word; do
        [[ -z $word || $word == :* ]] && continue
        if [[ $word == *"$tab"* ]]; then about[\${#found[@]}]=\${word#*"$tab"}; else about[\${#found[@]}]=""; fi
        word=\${word%%"$tab"*}
        word=\${word#"$kept"}
        ((\${#word} > width)) && width=\${#word}
        found[\${#found[@]}]=$word
    done <<<"$answer"
    for ((index = 0; index < \${#found[@]}; index++)); do
        word=\${found[index]}
        # Descriptions are only for a list that is shown, never for what is put into the line.
        if ${descriptions ? `((\${#found[@]} > 1)) && [[ \${COMP_TYPE:-0} == 63 && -n \${about[index]} ]]` : 'false'}; then
            printf -v word '%-*s  (%s)' "$width" "$word" "\${about[index]}"
            word=\${word:0:\${COLUMNS:-80}-2}
        fi
        COMPREPLY[index]=$word
    done
}

complete -F __${program}_complete ${program}
`;

const zsh = (program: string, descriptions: boolean): string => `#compdef ${program}
# Completion of ${program} for zsh.

_${program}() {
    local -a given candidates
    local answer directive line word about
    given=("\${(@Q)words[2,CURRENT]}")
    answer=$("\${(Q)words[1]/#\\~/$HOME}" __complete -- "\${given[@]}" 2>/dev/null) || answer=$(command ${program} __complete -- "\${given[@]}" 2>/dev/null) || return 1
    directive=\${answer##*$'\\n'}
    case $directive in
        :files)
            compset -P '--*='
            _files
            return
            ;;
        :folders)
            compset -P '--*='
            _files -/
            return
            ;;
    esac
    for line in "\${(@f)answer}"; do
        [[ -z $line || $line == :* ]] && continue
        word=\${line%%$'\\t'*}
        about=""
        [[ $line == *$'\\t'* ]] && about=\${line#*$'\\t'}
        # A colon separates the word from its description.
        candidates+=("\${word//:/\\\\:}${descriptions ? `\${about:+:$about}` : ''}")
    done
    (( \${#candidates} )) || return 1
    local -a suffix
    [[ $directive == :nospace ]] && suffix=(-S '')
    _describe -t values '${program}' candidates "\${suffix[@]}"
}

if ! (( \${+functions[compdef]} )); then
    autoload -Uz compinit && compinit
fi
compdef _${program} ${program}
# Loaded by compinit from a folder of fpath, this file is the function's body at its first call.
[[ \${funcstack[1]} == _${program} ]] && _${program} "$@"
return 0
`;

const fish = (program: string, descriptions: boolean): string => `# Completion of ${program} for fish.

function __${program}_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -e words[1]
    set -l answer (command ${program} __complete -- $words "$current" 2>/dev/null)
    or return 1
    set -l directive $answer[-1]
    set -e answer[-1]
    switch $directive
        case :files
            __fish_complete_path (string replace -r -- '^--[^=]*=' '' "$current")
        case :folders
            __fish_complete_directories (string replace -r -- '^--[^=]*=' '' "$current")
        case '*'
            for line in $answer
                ${descriptions ? 'echo -- $line' : 'string split -f1 -- \\t $line'}
            end
    end
end

complete -c ${program} -f -a '(__${program}_complete)'
`;

const powershell = (program: string, descriptions: boolean): string => `# Completion of ${program} for PowerShell.

Register-ArgumentCompleter -Native -CommandName '${program}' -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)
    $words = @($commandAst.CommandElements | Where-Object { $_.Extent.StartOffset -lt $cursorPosition } | ForEach-Object { $_.ToString().Trim('"', "'") })
    $program = $words[0]
    $words = @($words | Select-Object -Skip 1)
    # Behind a space a new, empty word begins. An empty argument gets lost on its way, so it is written as a pair of quotes.
    if ($wordToComplete -eq '') { $words += if ($PSVersionTable.PSVersion -ge [version]'7.3') { '' } else { '""' } }
    $answer = @(& $program __complete -- @words 2>$null)
    if ($answer.Count -eq 0) { return }
    $directive = $answer[-1]
    if ($directive -in ':files', ':folders') {
        [System.Management.Automation.CompletionCompleters]::CompleteFilename(($wordToComplete -replace '^--[^=]*=', ''))
        return
    }
    $answer | Select-Object -SkipLast 1 | ForEach-Object {
        $word, $about = $_ -split "\`t", 2
        if (-not $about) { $about = $word }
        [System.Management.Automation.CompletionResult]::new($word, $word, 'ParameterValue', ${descriptions ? '$about' : '$word'})
    }
}
`;
