import type { About } from '@floorwatch/contracts';

import { h } from '../dom.ts';
import { emptyState } from './notice.ts';

/** What a person does who sees no sensor yet: with the addresses of this floor, where the processor's configuration has them. */
export function nothingYet(about: About | undefined): HTMLElement {
  const mqtt = about?.gateway?.mqttUrl;
  const status = about?.gateway?.statusUrl;
  return emptyState(
    'No sensor has reported yet',
    h(
      'p',
      {},
      'The processor is running and waits for a gateway. A sensor appears here about twenty seconds after its first reading.',
    ),
    h(
      'ol',
      {},
      h(
        'li',
        {},
        'Check that an agent runs on the gateway and that it reaches the same NATS server as this processor.',
      ),
      h(
        'li',
        {},
        'Publish a reading over MQTT to the agent',
        ...(mqtt === undefined ? [] : [' at ', h('code', {}, mqtt)]),
        ': topic ',
        h('code', {}, 'sensors/press-1/temperature'),
        ', payload ',
        h('code', {}, '{"value": 71.3, "unit": "°C"}'),
        '.',
      ),
      h(
        'li',
        {},
        'If nothing comes, the agent’s status page lists which readings it rejected, and why: ',
        h('code', {}, status ?? '/status'),
        status === undefined ? ' at the address that http names in the agent’s configuration.' : '.',
      ),
    ),
  );
}
