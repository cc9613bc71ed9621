import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { loadConfig } from '@floorwatch/runtime';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';

import { resourcesPerTest } from '../../tests/support/index.ts';
import { agentConfigSchema, configHash } from '../src/config.ts';

const example = fileURLToPath(new URL('../config.example.yaml', import.meta.url));
const minimal = { site: 'Leipzig', gateway: 'hall-1', storage: { dataDir: '/var/lib/floorwatch-agent' } };

type JsonSchema = {
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly items?: JsonSchema;
  readonly anyOf?: readonly JsonSchema[];
  readonly oneOf?: readonly JsonSchema[];
};

/** The name of every field, at every depth. */
function fieldsOf(schema: JsonSchema): string[] {
  const below = Object.entries(schema.properties ?? {}).flatMap(([name, field]) => [name].concat(fieldsOf(field)));
  const variants = [
    ...(schema.anyOf ?? []),
    ...(schema.oneOf ?? []),
    ...(schema.items === undefined ? [] : [schema.items]),
  ];
  return [...below, ...variants.flatMap(fieldsOf)];
}

/** The example with its commented examples switched on, and the names of the fields that these begin with. */
function commentIn(text: string): { readonly text: string; readonly headings: readonly string[] } {
  const headings: string[] = [];
  let inside: string | undefined;
  const lines = text.split('\n').map((line) => {
    const [, indent, heading] = /^( *)# (units|rules|expected):$/.exec(line) ?? [];
    if (heading !== undefined) headings.push(heading);
    if (indent !== undefined) inside = `${indent}# `;
    else if (inside !== undefined && !line.startsWith(`${inside}  `)) inside = undefined;
    return inside === undefined ? line : line.slice(0, inside.length - 2) + line.slice(inside.length);
  });
  return { text: lines.join('\n'), headings };
}

describe('the example configuration', () => {
  const resources = resourcesPerTest();

  it('arms nothing: a copy of it runs with the defaults alone', async () => {
    expect(await loadConfig(example, agentConfigSchema)).toEqual(agentConfigSchema.parse(minimal));
  });

  it('holds examples that are valid once they are commented in', async () => {
    const { text, headings } = commentIn(await readFile(example, 'utf8'));
    expect(headings).toEqual(['units', 'rules', 'rules', 'rules', 'rules', 'expected']);
    const file = join(await resources.directory(), 'config.yaml');
    await writeFile(file, text);
    const { units, engine } = await loadConfig(file, agentConfigSchema);
    expect([units.rules, units.aliases].map(({ length }) => length)).toEqual([1, 1]);
    for (const detector of [engine.limits, engine.range, engine.rate, engine.stuck]) {
      expect(detector.rules).toHaveLength(1);
    }
    expect(engine.silent.expected).toHaveLength(1);
  });

  it('mentions every field of the schema', async () => {
    const text = await readFile(example, 'utf8');
    const fields = new Set(
      fieldsOf(z.toJSONSchema(agentConfigSchema, { io: 'input', unrepresentable: 'any' }) as JsonSchema),
    );
    expect(fields.size).toBeGreaterThan(50);
    const missing = [...fields].filter((field) => !new RegExp(`^[#\\s-]*${field}:`, 'm').test(text));
    expect(missing).toEqual([]);
  });
});

describe('the configuration', () => {
  const resources = resourcesPerTest();

  it.each([
    ['gateway: hall-1', /^ {2}site: .*it is not set/m],
    ['site: a/b\ngateway: g', /site: must not contain .*it is "a\/b"/],
    ['site: s\ngateway: g\nstorage: {dataDir: d}\nbrocker: {}', /brocker: unknown field/],
    ['site: s\ngateway: g\nstorage: {dataDir: d}\nbroker: {kind: embedded, prot: 1}', /broker\.prot: unknown field/],
    [
      'site: s\ngateway: g\nstorage: {dataDir: d}\nbroker: {kind: other}',
      /broker\.kind: must have "kind: embedded" or "kind: external"/,
    ],
    ['site: s\ngateway: g\nstorage: {dataDir: d}\nbroker: []', /broker: /],
    [
      'site: s\ngateway: g\nstorage: {dataDir: d}\nbroker: {kind: embedded, port: 65536}',
      /broker\.port: .*it is 65536/,
    ],
    [
      'site: s\ngateway: g\nstorage: {dataDir: d}\nbroker: {kind: embedded, port: "1883"}',
      /broker\.port: expected number.*it is "1883"/,
    ],
    ['site: s\ngateway: g\nstorage: {dataDir: d}\nbroker: {kind: external}', /broker\.url: /],
    [
      'site: s\ngateway: g\nstorage: {dataDir: d}\nbroker: {kind: external, url: "http://x"}',
      /broker\.url: must be an address such as mqtt:/,
    ],
    [
      'site: s\ngateway: g\nstorage: {dataDir: d}\nbroker: {kind: external, url: "mqtt://u:geheim@x"}',
      /broker\.url: must not hold a user or a password.*mqtt:\/\/\*\*\*@x/,
    ],
    [
      'site: s\ngateway: g\nstorage: {dataDir: d}\nbroker: {kind: external, url: "mqtt://x", tls: {caFile: c}}',
      /broker\.url: must begin with mqtts:/,
    ],
    [
      'site: s\ngateway: g\nstorage: {dataDir: d}\nbroker: {kind: embedded, port: 9464}',
      /http\.port: must not be the same as broker\.port/,
    ],
    ['site: s\ngateway: g\nstorage: {dataDir: d}\ntopics: []', /topics: /],
    [
      'site: s\ngateway: g\nstorage: {dataDir: d}\ntopics: [{topic: "a/{device}"}]',
      /topics\.0\.topic: must hold \{metric\} once/,
    ],
    [
      'site: s\ngateway: g\nstorage: {dataDir: d}\ntopics: [{topic: "a/{device}", codec: number}]',
      /topics\.0\.topic: must hold \{metric\} once/,
    ],
    [
      'site: s\ngateway: g\nstorage: {dataDir: d}\ntopics: [{topic: "{device}/{metric}", codec: metrics}]',
      /topics\.0\.topic: must not hold \{metric\}/,
    ],
    [
      'site: s\ngateway: g\nstorage: {dataDir: d}\ntopics: [{topic: "{device}", codec: json, ignore: [a]}]',
      /topics\.0\.ignore: is for codec metrics only/,
    ],
    [
      'site: s\ngateway: g\nstorage: {dataDir: d}\ntopics: [{topic: "{device}/{metric}"}, {topic: "{device}/{metric}"}]',
      /topics\.1\.topic: is in the list already/,
    ],
    [
      'site: s\ngateway: g\nstorage: {dataDir: d}\ntopics: [{topic: "{device}/{metric}", codec: xml}]',
      /topics\.0\.codec: .*it is "xml"/,
    ],
    ['site: s\ngateway: g\nstorage: {dataDir: d}\nsensorsMax: 0', /sensorsMax: .*it is 0/],
    ['site: s\ngateway: g\nstorage: {dataDir: d}\nreadings: {futureMsMax: -1}', /readings\.futureMsMax: .*it is -1/],
    ['site: s\ngateway: g', /^ {2}storage: .*it is not set/m],
    ['site: s\ngateway: g\nstorage: {}', /storage\.dataDir: .*it is not set/],
    [
      'site: s\ngateway: g\nstorage: {dataDir: d, telemetry: {bytesMax: 1000}}',
      /storage\.telemetry\.bytesMax: .*it is 1000/,
    ],
    [
      'site: s\ngateway: g\nstorage: {dataDir: d}\nengine: {range: {rules: [{metric: t}]}}',
      /engine\.range\.rules\.0\.high: is missing/,
    ],
    [
      'site: s\ngateway: g\nstorage: {dataDir: d}\nengine: {range: {rules: [{low: 2, high: 2}]}}',
      /engine\.range\.rules\.0\.low: must be below/,
    ],
    [
      'site: s\ngateway: g\nstorage: {dataDir: d}\nengine: {rate: {rules: [{perSecondMax: 0}]}}',
      /engine\.rate\.rules\.0\.perSecondMax: /,
    ],
    [
      'site: s\ngateway: g\nstorage: {dataDir: d}\nengine: {adaptive: {rules: [{warningScore: 4}]}}',
      /engine\.adaptive\.rules\.0\.warningScore: must not be above criticalScore/,
    ],
    [
      'site: s\ngateway: g\nstorage: {dataDir: d}\nengine: {zScore: {rules: [{warningSd: -1}]}}',
      /engine\.zScore\.rules\.0\.warningSd: /,
    ],
  ])('%j names the field and the value', async (text, message) => {
    const file = join(await resources.directory(), 'agent.yaml');
    await writeFile(file, text);
    await expect(loadConfig(file, agentConfigSchema)).rejects.toMatchObject({
      code: 'config-invalid',
      message: expect.stringMatching(message),
    });
  });

  it('takes the embedded broker when its kind is not said', () => {
    expect(agentConfigSchema.parse(minimal).broker).toEqual({ kind: 'embedded', host: '127.0.0.1', port: 1883 });
    expect(agentConfigSchema.parse({ ...minimal, broker: { port: 1 } }).broker).toMatchObject({
      kind: 'embedded',
      port: 1,
    });
  });

  it('commits and saves less often on an SD card, unless it is told how often', () => {
    const storage = (more: object) =>
      agentConfigSchema.parse({ ...minimal, storage: { dataDir: 'd', ...more } }).storage;
    expect(storage({})).toMatchObject({ commitMs: 5, snapshotMs: 60_000 });
    expect(storage({ profile: 'sd-card' })).toMatchObject({ commitMs: 1_000, snapshotMs: 600_000 });
    expect(storage({ profile: 'sd-card', commitMs: 20 })).toMatchObject({ commitMs: 20, snapshotMs: 600_000 });
  });

  it('has a hash that changes with it and not without', () => {
    const hash = (options: object): string => configHash(agentConfigSchema.parse({ ...minimal, ...options }));
    expect(hash({})).toMatch(/^[0-9a-f]{16}$/);
    expect(hash({})).toBe(hash({ sensorsMax: 20_000 }));
    expect(hash({})).not.toBe(hash({ sensorsMax: 20_001 }));
  });
});
