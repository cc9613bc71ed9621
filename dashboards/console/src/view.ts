import type { About, AnomalyRow, LiveEvents, SensorView } from '@floorwatch/contracts';

import type { ApiClient } from './api-client.ts';
import type { FloorModel } from './floor-model.ts';

/** What every view may use. */
export interface ViewContext {
  readonly api: ApiClient;
  readonly floor: FloorModel;
  /** The processor's clock, as far as it is known. */
  now(): number;
  /** Undefined until the processor has answered. */
  about(): About | undefined;
  /** The open episodes, the latest opened first. */
  openAnomalies(): readonly AnomalyRow[];
  /** Whether the floor has been read since the page was opened. */
  loaded(): boolean;
}

/** One place of the page. Made when it is gone to, thrown away when it is left. */
export interface View {
  /** Begins with the heading that gets the focus. */
  readonly element: HTMLElement;
  /** For the window's title; may change while the view is shown. */
  title(): string;
  /** The sensors whose rollups it wants to hear. */
  watches(): readonly string[];
  /** Everything may have changed: after connecting, and after the first load. */
  refresh(): void;
  sensors(views: readonly SensorView[]): void;
  anomaly(row: AnomalyRow): void;
  rollups(rollups: LiveEvents['rollups']): void;
  /** Once a second, for what ages. */
  tick(): void;
  /** Other colours. */
  recolour(): void;
  destroy(): void;
}
