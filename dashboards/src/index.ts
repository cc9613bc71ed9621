export { grafanaDashboards, grafanaFiles } from './grafana/files.ts';
