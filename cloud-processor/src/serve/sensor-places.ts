import { serveLimits } from './limits.ts';

/**
 * Shares the places of a page between gateways: one that has more sensors than others can't take the places of those that come later. A gateway
 * gets places as long as it holds less than twice as many as are free (after Choudhury and Hahne, "Dynamic queue length thresholds", 1998):
 * alone it gets two thirds of all, and there is always room for another one.
 */
export class SensorPlaces {
  readonly #max: number;
  /** Gateways that were refused a place. */
  readonly #refused = new Set<string>();
  #taken = 0;

  constructor(max: number) {
    this.#max = max;
  }

  /** How many gateways have more sensors than there were places for. */
  get gatewaysCut(): number {
    return this.#refused.size;
  }

  /** @param held places that the gateway has. @returns false if it gets none more. */
  take(gateway: string, held: number): boolean {
    if (held >= serveLimits.sensorsPerFreePlace * (this.#max - this.#taken)) {
      this.#refused.add(gateway);
      return false;
    }
    this.#taken += 1;
    return true;
  }

  /** For people; undefined: everybody has all places. */
  describe(): string | undefined {
    if (this.#refused.size === 0) return undefined;
    const [first = ''] = this.#refused;
    const others = this.#refused.size === 1 ? '' : ` and ${this.#refused.size - 1} more`;
    return `sensors of ${first}${others} are not shown: there is room for ${this.#max} of all gateways, and a share of it for each; find out whether the gateway makes up names`;
  }
}
