import { App } from './app.ts';

const root = document.getElementById('app');
if (root === null) throw new Error('index.html has no element with the id "app"');
new App(root).start();
