export { FloorView, type FloorViewCounts, type FloorViewOptions } from './floor-view.ts';
export { CONSOLE_DIR_DEFAULT, createServeApp, type HealthReport, type ServeOptions } from './serve-app.ts';
