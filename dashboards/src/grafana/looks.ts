import {
  type DataTransformerConfig,
  type DynamicConfigValue,
  MappingType,
  type ValueMapping,
} from '@grafana/grafana-foundation-sdk/dashboard';

/** Colours that people with colour-blindness tell apart; the words stand beside them everywhere. */
export const COLOURS = { normal: 'green', warning: 'orange', critical: 'red', unknown: 'purple' } as const;

/** How the number in a column `state` reads. */
export const STATE_WORDS: ValueMapping = {
  type: MappingType.ValueToText,
  options: {
    '-1': { text: 'unknown', color: COLOURS.unknown, index: 0 },
    '0': { text: 'normal', color: COLOURS.normal, index: 1 },
    '1': { text: 'warning', color: COLOURS.warning, index: 2 },
    '2': { text: 'critical', color: COLOURS.critical, index: 3 },
  },
};

export const SEVERITY_WORDS: ValueMapping = {
  type: MappingType.ValueToText,
  options: {
    warning: { text: 'warning', color: COLOURS.warning, index: 0 },
    critical: { text: 'critical', color: COLOURS.critical, index: 1 },
  },
};

/** Shows a table's column as coloured words. */
export const inWords = (mapping: ValueMapping): DynamicConfigValue[] => [
  { id: 'mappings', value: [mapping] },
  { id: 'custom.cellOptions', value: { type: 'color-text' } },
];

/** Puts a table's columns in this order under these headings; what is not named is hidden by the query already. */
export const columns = (headings: Readonly<Record<string, string>>): DataTransformerConfig => ({
  id: 'organize',
  options: {
    indexByName: Object.fromEntries(Object.keys(headings).map((name, i) => [name, i])),
    renameByName: headings,
    excludeByName: {},
  },
});

/** What a table of anomalies says of each after where and when it was, as fields of the store and their headings. */
export const ANOMALY_HEADINGS = {
  value: 'Value',
  worst_value: 'Worst',
  unit: 'Unit',
  expected_low: 'Expected from',
  expected_high: 'Expected to',
  score: 'Score',
  readings: 'Readings',
  explanation: 'Why',
} as const;

/** Leads from a row of a table to its sensor, in the same time range. */
export const SENSOR_LINK: DynamicConfigValue = {
  id: 'links',
  value: [
    {
      title: 'Open the sensor',
      url:
        '/d/floorwatch-sensor?' +
        ['Site', 'Gateway', 'Device', 'Metric']
          .map((name) => `var-${name.toLowerCase()}=\${__data.fields.${name}:percentencode}`)
          .join('&') +
        '&${__url_time_range}',
    },
  ],
};
