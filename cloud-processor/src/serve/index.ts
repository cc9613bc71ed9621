export { FloorView } from './floor-view.ts';
export { restoreView } from './restore-view.ts';
export { createServeApp, type ServeOptions } from './serve-app.ts';
