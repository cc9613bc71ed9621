import type { SensorView } from '@floorwatch/contracts';

import { h, setAttribute, setText } from '../dom.ts';
import type { DeviceGroup } from '../floor-model.ts';
import { formatQuantity, formatTime } from '../format.ts';
import { sensorHash } from '../routes.ts';
import { Sparkline, SPARKLINE_POINTS } from './sparkline.ts';
import { STATE_LABELS, stateIcon } from './state-icon.ts';

/** What small charts have to show: when and what a sensor last read. */
export interface Recent {
  readonly at: number[];
  readonly last: number[];
}

/** One sensor as a line of its device's card. */
class SensorRow {
  readonly #sparkline = new Sparkline();
  readonly #icon = h('span', { class: 'state' });
  readonly #value = h('span', { class: 'value' });
  readonly #label = h('span', { class: 'sr' });
  readonly element: HTMLElement;
  #state = '';

  constructor(view: SensorView) {
    this.element = h(
      'li',
      {},
      h(
        'a',
        { href: sensorHash(view.id) },
        this.#icon,
        h('span', { class: 'metric', title: view.sensor.metric }, view.sensor.metric),
        this.#sparkline.element,
        this.#value,
        this.#label,
      ),
    );
  }

  show(view: SensorView, recent: Recent | undefined): void {
    setText(this.#value, formatQuantity(view.last, view.unit, 4));
    // Of which moment it is, so that it can be compared with what an anomaly says.
    setAttribute(this.#value, 'title', view.last === null ? '' : `read at ${formatTime(view.lastAt)}`);
    setText(this.#label, `, ${STATE_LABELS[view.state].toLowerCase()}`);
    if (this.#state !== view.state) {
      this.#state = view.state;
      setAttribute(this.element, 'class', `row state-${view.state}`);
      this.#icon.replaceChildren(stateIcon(view.state));
    }
    if (recent !== undefined) this.#sparkline.show(recent.last);
  }
}

/**
 * The sensors of one device. Thousands of devices may stand on the page, so a card holds its rows only while it is near the part that
 * can be seen; its height is known beforehand, so nothing jumps.
 */
export class DeviceCard {
  readonly #list = h('ul');
  readonly element: HTMLElement;
  readonly #rows = new Map<string, SensorRow>();
  #sensors: readonly SensorView[];
  #near = false;

  constructor(group: DeviceGroup) {
    this.#sensors = group.sensors;
    this.element = h('section', { class: 'device', 'data-key': group.key }, h('h3', {}, group.device), this.#list);
    this.#reserve();
  }

  get ids(): string[] {
    return this.#sensors.map(({ id }) => id);
  }

  get near(): boolean {
    return this.#near;
  }

  /** Other sensors of the same device match now. */
  regroup(group: DeviceGroup): void {
    const same = group.sensors.length === this.#sensors.length && group.sensors.every(({ id }) => this.#rows.has(id));
    this.#sensors = group.sensors;
    if (same || !this.#near) return this.#reserve();
    this.#fill();
  }

  /** Fills the card when it comes near, empties it when it goes. */
  setNear(near: boolean): void {
    if (near === this.#near) return;
    this.#near = near;
    if (near) this.#fill();
    else {
      this.#rows.clear();
      this.#list.replaceChildren();
    }
  }

  show(view: SensorView, recent: Recent | undefined): void {
    this.#rows.get(view.id)?.show(view, recent);
  }

  #reserve(): void {
    this.#list.style.setProperty('--rows', String(this.#sensors.length));
  }

  #fill(): void {
    this.#reserve();
    this.#rows.clear();
    for (const view of this.#sensors) {
      const row = new SensorRow(view);
      row.show(view, undefined);
      this.#rows.set(view.id, row);
    }
    this.#list.replaceChildren(...[...this.#rows.values()].map(({ element }) => element));
  }
}

/** `recent` with one more reading, the oldest dropped; the same moment is replaced. */
export function appendRecent(recent: Recent, at: number, last: number): void {
  const newest = recent.at.at(-1);
  if (newest !== undefined && at < newest) return;
  if (newest === at) recent.last[recent.last.length - 1] = last;
  else {
    recent.at.push(at);
    recent.last.push(last);
  }
  if (recent.at.length > SPARKLINE_POINTS) {
    recent.at.shift();
    recent.last.shift();
  }
}
