import { readdirSync, readFileSync } from 'node:fs';

import { VariableType } from '@grafana/grafana-foundation-sdk/dashboard';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';

import type { DashboardModel } from '../../src/grafana/dashboard-model.ts';
import { grafanaDashboards, grafanaFiles } from '../../src/grafana/files.ts';
import { DATA_SOURCE } from '../../src/grafana/flux-query.ts';
import { fluxTarget, targetsOf } from './as-grafana.ts';

const folder = new URL('../../grafana/', import.meta.url);
const committed = (name: string): string => readFileSync(new URL(name, folder), 'utf8');

describe('the committed dashboards', () => {
  it('are what the code makes: run "npm run build:grafana -w dashboards" after a change', () => {
    const files = grafanaFiles();
    expect(readdirSync(new URL('dashboards/', folder)).toSorted()).toEqual(Object.keys(files).toSorted());
    for (const [name, text] of Object.entries(files)) expect(committed(`dashboards/${name}`)).toBe(text);
  });

  it('have addresses of their own', () => {
    const uids = Object.values(grafanaDashboards()).map((dashboard) => dashboard.uid);
    expect(new Set(uids).size).toBe(uids.length);
    for (const uid of uids) expect(uid).toMatch(/^[a-z-]{1,40}$/);
  });
});

describe.each(Object.entries(grafanaDashboards()))('%s', (name, built) => {
  const dashboard = JSON.parse(committed(`dashboards/${name}`)) as DashboardModel;
  const panels = dashboard.panels.map((panel) => ({
    ...panel,
    gridPos: panel.gridPos!,
    targets: targetsOf(panel),
  }));

  it('names a version of the model, and can be read but not edited', () => {
    expect(dashboard).toMatchObject({ schemaVersion: 42, editable: false, title: built.title, timezone: 'browser' });
    expect(dashboard).not.toHaveProperty('id');
  });

  it('numbers its panels and gives each a title of its own', () => {
    expect(panels.map((panel) => panel.id)).toEqual(panels.map((_, i) => i + 1));
    const titles = panels.map((panel) => panel.title);
    expect(new Set(titles).size).toBe(titles.length);
    expect(titles.every((title) => title !== undefined && title !== '')).toBe(true);
  });

  it('places its panels on the grid without overlaps or holes', () => {
    const taken = new Map<string, string>();
    for (const { title, gridPos } of panels) {
      expect(gridPos.x + gridPos.w).toBeLessThanOrEqual(24);
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
          expect(`${title} over ${taken.get(`${x},${y}`)}`).toBe(`${title} over undefined`);
          taken.set(`${x},${y}`, title!);
        }
      }
    }
    const height = Math.max(...panels.map(({ gridPos }) => gridPos.y + gridPos.h));
    expect(taken.size).toBe(24 * height);
  });

  it('asks the provisioned data source in every panel, variable and annotation', () => {
    const queryVariables = dashboard.templating.list.filter((variable) => variable.type === VariableType.Query);
    const annotations = dashboard.annotations.list;
    for (const asker of [...panels, ...queryVariables, ...annotations]) expect(asker.datasource).toEqual(DATA_SOURCE);
    const targets = [
      ...panels.flatMap((panel) => panel.targets),
      ...annotations.map((annotation) => fluxTarget(annotation.target)),
    ];
    for (const target of targets) {
      expect(target.datasource).toEqual(DATA_SOURCE);
      expect(target.query).toContain('from(bucket: v.defaultBucket)');
      expect(target.refId).toMatch(/^\w+$/);
    }
    for (const panel of panels) {
      expect(panel.targets.length).toBeGreaterThan(0);
      expect(new Set(panel.targets.map((target) => target.refId)).size).toBe(panel.targets.length);
    }
  });

  it('uses no variable that it does not have', () => {
    const known = new Set(dashboard.templating.list.map((variable) => variable.name));
    const used = [...JSON.stringify(dashboard).matchAll(/\$\{(\w+)(?:[:}])/g)].map((match) => match[1]!);
    expect(used.filter((variable) => !variable.startsWith('__') && !known.has(variable))).toEqual([]);
    expect(used.length).toBeGreaterThan(0);
  });

  it('says what to read into an empty panel', () => {
    for (const panel of panels) expect(panel.fieldConfig?.defaults?.noValue).toMatch(/\w/);
  });
});

describe('the links from the overview', () => {
  it('name the columns of their tables and the variables of the sensor', () => {
    const { 'floor-overview.json': overview, 'sensor.json': sensor } = grafanaDashboards();
    const linked = overview!.panels.filter((panel) => JSON.stringify(panel).includes(`/d/${sensor!.uid}`));
    expect(linked.map((panel) => panel.title)).toEqual(['Open anomalies', 'Sensors by state']);
    const variables = sensor!.templating.list.map((variable) => variable.name);
    for (const panel of linked) {
      const url = /"(\/d\/[^"]+)"/.exec(JSON.stringify(panel))![1]!;
      const passed = [...url.matchAll(/var-(\w+)=\$\{__data\.fields\.(\w+):percentencode\}/g)];
      expect(passed.map((match) => match[1])).toEqual(variables.filter((variable) => variable !== 'size'));
      const { renameByName } = panel.transformations![0]!.options as { renameByName: Record<string, string> };
      for (const match of passed) expect(Object.values(renameByName)).toContain(match[2]);
    }
  });
});

describe('provisioning', () => {
  it('makes the data source that the dashboards ask, with its token from the environment', () => {
    const text = committed('provisioning/datasources/floorwatch.yaml');
    const { datasources } = parse(text) as { datasources: Record<string, unknown>[] };
    expect(datasources).toHaveLength(1);
    expect(datasources[0]).toMatchObject({
      ...DATA_SOURCE,
      access: 'proxy',
      url: '${FLOORWATCH_INFLUX_URL}',
      jsonData: {
        version: 'Flux',
        organization: '${FLOORWATCH_INFLUX_ORG}',
        defaultBucket: '${FLOORWATCH_INFLUX_BUCKET}',
      },
      secureJsonData: { token: '${FLOORWATCH_INFLUX_TOKEN}' },
    });
  });

  it('loads the dashboards from a folder', () => {
    const { providers } = parse(committed('provisioning/dashboards/floorwatch.yaml')) as { providers: unknown[] };
    expect(providers).toMatchObject([{ type: 'file', options: { path: '${FLOORWATCH_DASHBOARDS}' } }]);
  });
});
