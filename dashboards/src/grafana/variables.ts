import {
  CustomVariableBuilder,
  QueryVariableBuilder,
  VariableRefresh,
  VariableSort,
} from '@grafana/grafana-foundation-sdk/dashboard';
import { sizeLabel, WINDOW_SIZES_DEFAULT } from '@floorwatch/contracts';

import { chosen, DATA_SOURCE, SENSOR_TAGS, type SensorTag } from './flux-query.ts';

/** Names that had no window for so long are not offered. */
const OFFERED_SINCE = '-30d';

/** A variable that offers the names which have windows, among those chosen so far. */
export function nameVariable(tag: SensorTag, several: boolean): QueryVariableBuilder {
  const wider = SENSOR_TAGS.slice(0, SENSOR_TAGS.indexOf(tag));
  const condition = ['r._measurement == "window"', ...(wider.length === 0 ? [] : [chosen(wider)])].join(' and ');
  const query = `import "influxdata/influxdb/schema"

schema.tagValues(bucket: v.defaultBucket, tag: "${tag}", predicate: (r) => ${condition}, start: ${OFFERED_SINCE})`;
  const variable = new QueryVariableBuilder(tag)
    .label(tag.charAt(0).toUpperCase() + tag.slice(1))
    .datasource(DATA_SOURCE)
    .query(query)
    .definition(query)
    .refresh(VariableRefresh.OnTimeRangeChanged)
    .sort(VariableSort.AlphabeticalAsc)
    .multi(several)
    .includeAll(several);
  return several ? variable.allValue('.*').current({ text: 'All', value: '$__all', selected: true }) : variable;
}

/** The length of the windows that are shown. */
export function sizeVariable(): CustomVariableBuilder {
  const labels = WINDOW_SIZES_DEFAULT.map(sizeLabel);
  return new CustomVariableBuilder('size')
    .label('Window')
    .description('Length of the windows that are shown, as the processor is configured to make them')
    .values(labels.join(','))
    .current({ text: labels[0]!, value: labels[0]!, selected: true })
    .options(labels.map((label, i) => ({ text: label, value: label, selected: i === 0 })));
}
