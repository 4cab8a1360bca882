// Writes addons/grafana.yaml from addons/dashboards/*.json; `--check` only compares.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const root = join(import.meta.dirname, '..');
const addons = join(root, 'samples', 'addons');
export const grafanaFile = join(addons, 'grafana.yaml');

/** Dashboards of traffic are in a ConfigMap of their own; all in one would come near the size that Kubernetes allows. */
const ofServices = new Set(['mesh.json', 'service.json', 'workload.json']);

const head = `# Grafana with the dashboards of the mesh. They read Prometheus (prometheus.yaml).
#   kubectl apply -f addons/grafana.yaml
# The dashboards come from addons/dashboards; scripts/generate-grafana.ts writes this file.
apiVersion: v1
kind: ServiceAccount
metadata:
  name: grafana
  namespace: istio-system
  labels:
    app.kubernetes.io/name: grafana
automountServiceAccountToken: false
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: grafana
  namespace: istio-system
  labels:
    app.kubernetes.io/name: grafana
data:
  datasources.yaml: |
    apiVersion: 1
    datasources:
      - name: Prometheus
        uid: prometheus
        type: prometheus
        access: proxy
        url: http://prometheus:9090
        isDefault: true
        editable: false
        jsonData:
          timeInterval: 15s
  dashboards.yaml: |
    apiVersion: 1
    providers:
      - name: istio
        folder: Istio
        type: file
        disableDeletion: true
        options:
          path: /etc/grafana/istio
      - name: istio-services
        folder: Istio
        type: file
        disableDeletion: true
        options:
          path: /etc/grafana/istio-services
---
apiVersion: v1
kind: Service
metadata:
  name: grafana
  namespace: istio-system
  labels:
    app.kubernetes.io/name: grafana
spec:
  type: ClusterIP
  selector:
    app.kubernetes.io/name: grafana
  ports:
    - name: http
      port: 3000
      protocol: TCP
      targetPort: 3000
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: grafana
  namespace: istio-system
  labels:
    app.kubernetes.io/name: grafana
spec:
  replicas: 1
  selector:
    matchLabels:
      app.kubernetes.io/name: grafana
  template:
    metadata:
      labels:
        app: grafana
        app.kubernetes.io/name: grafana
        sidecar.istio.io/inject: "false"
    spec:
      serviceAccountName: grafana
      automountServiceAccountToken: false
      enableServiceLinks: false
      securityContext:
        runAsNonRoot: true
        runAsUser: 472
        runAsGroup: 472
        fsGroup: 472
      containers:
        - name: grafana
          image: grafana/grafana:12.1.1
          imagePullPolicy: IfNotPresent
          env:
            # Whoever reaches the port may look.
            - name: GF_AUTH_ANONYMOUS_ENABLED
              value: "true"
            - name: GF_AUTH_ANONYMOUS_ORG_ROLE
              value: Viewer
            - name: GF_AUTH_BASIC_ENABLED
              value: "false"
            - name: GF_AUTH_DISABLE_LOGIN_FORM
              value: "true"
            - name: GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION
              value: "true"
            - name: GF_ANALYTICS_REPORTING_ENABLED
              value: "false"
            - name: GF_ANALYTICS_CHECK_FOR_UPDATES
              value: "false"
            - name: GF_USERS_DEFAULT_THEME
              value: system
            - name: GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH
              value: /etc/grafana/istio-services/mesh.json
          ports:
            - name: http
              containerPort: 3000
          readinessProbe:
            httpGet:
              path: /api/health
              port: 3000
            periodSeconds: 5
          securityContext:
            allowPrivilegeEscalation: false
            capabilities:
              drop: [ALL]
          volumeMounts:
            - name: storage
              mountPath: /var/lib/grafana
            - name: datasources
              mountPath: /etc/grafana/provisioning/datasources
            - name: providers
              mountPath: /etc/grafana/provisioning/dashboards
            - name: istio
              mountPath: /etc/grafana/istio
            - name: istio-services
              mountPath: /etc/grafana/istio-services
      volumes:
        - name: storage
          emptyDir: {}
        - name: datasources
          configMap:
            name: grafana
            items:
              - key: datasources.yaml
                path: datasources.yaml
        - name: providers
          configMap:
            name: grafana
            items:
              - key: dashboards.yaml
                path: dashboards.yaml
        - name: istio
          configMap:
            name: istio-grafana-dashboards
        - name: istio-services
          configMap:
            name: istio-services-grafana-dashboards
`;

function configMap(name: string, files: readonly string[]): string {
  const data = files.map((file) => {
    // In few bytes: apply keeps a second copy in an annotation, which may not be larger than 256 KiB.
    const text = JSON.stringify(JSON.parse(readFileSync(join(addons, 'dashboards', file), 'utf8')));
    return `  ${file}: |\n    ${text}\n`;
  });
  return `---
apiVersion: v1
kind: ConfigMap
metadata:
  name: ${name}
  namespace: istio-system
  labels:
    app.kubernetes.io/name: grafana
data:
${data.join('')}`;
}

/** The manifest as the dashboards now make it. */
export function grafanaManifest(): string {
  const files = readdirSync(join(addons, 'dashboards'))
    .filter((file) => file.endsWith('.json'))
    .sort();
  return [
    head,
    configMap(
      'istio-grafana-dashboards',
      files.filter((file) => !ofServices.has(file)),
    ),
    configMap(
      'istio-services-grafana-dashboards',
      files.filter((file) => ofServices.has(file)),
    ),
  ].join('');
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  if (process.argv.includes('--check')) {
    if (readFileSync(grafanaFile, 'utf8') !== grafanaManifest()) {
      console.error('addons/grafana.yaml is out of date: run npm run docs');
      process.exitCode = 1;
    }
  } else writeFileSync(grafanaFile, grafanaManifest());
}
