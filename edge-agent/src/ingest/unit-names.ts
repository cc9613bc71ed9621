/** How a unit is written otherwise. */
interface Spellings {
  /** Compared with case: mPa is not MPa. */
  readonly symbols: readonly string[];
  /** Compared without case, spaces, underscores and full stops. */
  readonly words?: readonly string[];
}

/** Units of factory sensors by the name that is shown, after UCUM and ISO 80000 where they say something. */
const UNITS: Readonly<Record<string, Spellings>> = {
  '°C': { symbols: ['C', '°c', 'ºC', 'Cel', '° C'], words: ['degC', 'celsius', 'degree celsius', 'degrees celsius'] },
  '°F': { symbols: ['F', '°f', 'ºF', '[degF]', '° F'], words: ['degF', 'fahrenheit', 'degrees fahrenheit'] },
  K: { symbols: ['°K'], words: ['kelvin'] },
  '%': { symbols: [], words: ['percent', 'pct'] },
  '%RH': {
    symbols: ['%rH', '%rh', '% RH', '% rH', 'RH', 'rH', '%r.F.', '% r.F.'],
    words: ['percent rh', 'relative humidity'],
  },
  Pa: { symbols: [], words: ['pascal'] },
  hPa: { symbols: [], words: ['hectopascal'] },
  kPa: { symbols: ['KPa'], words: ['kilopascal'] },
  MPa: { symbols: [], words: ['megapascal'] },
  bar: { symbols: ['Bar', 'BAR'], words: ['bars'] },
  mbar: { symbols: ['mBar'], words: ['millibar'] },
  psi: { symbols: ['PSI', 'Psi', 'lbf/in²', '[psi]'], words: ['pounds per square inch'] },
  V: { symbols: [], words: ['volt', 'volts'] },
  mV: { symbols: [], words: ['millivolt', 'millivolts'] },
  A: { symbols: [], words: ['ampere', 'amperes', 'amp', 'amps'] },
  mA: { symbols: [], words: ['milliampere', 'milliamperes', 'milliamp', 'milliamps'] },
  W: { symbols: [], words: ['watt', 'watts'] },
  kW: { symbols: ['KW'], words: ['kilowatt', 'kilowatts'] },
  kWh: { symbols: ['KWh', 'kW·h', 'kW.h', 'kWhr'], words: ['kilowatt hour', 'kilowatt hours'] },
  Hz: { symbols: ['hz', 'HZ', '1/s'], words: ['hertz'] },
  kHz: { symbols: ['khz', 'KHz'], words: ['kilohertz'] },
  'r/min': { symbols: ['1/min', 'min⁻¹', 'min-1', 'U/min'], words: ['rpm', 'rev/min', 'revolutions per minute'] },
  'mm/s': { symbols: ['mm/sec', 'mm·s⁻¹', 'mm s-1'], words: ['millimetres per second', 'millimeters per second'] },
  'm/s': { symbols: ['m/sec', 'm·s⁻¹'], words: ['metres per second', 'meters per second'] },
  'in/s': { symbols: ['in/sec', 'ips'], words: ['inches per second'] },
  'm/s²': { symbols: ['m/s2', 'm/s^2', 'm/sec²', 'm·s⁻²'] },
  'L/min': { symbols: ['l/min', 'lpm', 'LPM', 'L/m'], words: ['litres per minute', 'liters per minute'] },
  'L/s': { symbols: ['l/s', 'L/sec'], words: ['litres per second', 'liters per second'] },
  'm³/h': { symbols: ['m3/h', 'm^3/h', 'm3/hr', 'cbm/h'], words: ['cubic metres per hour', 'cubic meters per hour'] },
  'm³': { symbols: ['m3', 'm^3', 'cbm'], words: ['cubic metre', 'cubic metres', 'cubic meter', 'cubic meters'] },
  L: { symbols: ['l', 'ℓ'], words: ['litre', 'litres', 'liter', 'liters'] },
  kg: { symbols: ['Kg', 'KG'], words: ['kilogram', 'kilograms'] },
  N: { symbols: [], words: ['newton', 'newtons'] },
  N·m: {
    symbols: ['Nm', 'N m', 'N.m', 'N*m'],
    words: ['newton metre', 'newton metres', 'newton meter', 'newton meters'],
  },
  mm: { symbols: [], words: ['millimetre', 'millimetres', 'millimeter', 'millimeters'] },
  µm: { symbols: ['um'], words: ['micron', 'microns', 'micrometre', 'micrometres', 'micrometer', 'micrometers'] },
  m: { symbols: [], words: ['metre', 'metres', 'meter', 'meters'] },
  '°': { symbols: [], words: ['deg', 'degree', 'degrees'] },
  'µS/cm': { symbols: ['uS/cm'] },
  lx: { symbols: [], words: ['lux'] },
  dB: { symbols: ['db', 'DB'], words: ['decibel', 'decibels'] },
  s: { symbols: ['sec', 'secs'], words: ['second', 'seconds'] },
  ms: { symbols: ['msec'], words: ['millisecond', 'milliseconds'] },
  min: { symbols: [], words: ['minute', 'minutes'] },
  h: { symbols: ['hr', 'hrs'], words: ['hour', 'hours'] },
};

/** Compatible forms of a character are one: ℃ is °C, and both characters for micro are µ. */
const composed = (text: string): string => text.normalize('NFKC').replaceAll('μ', 'µ').trim();
const folded = (text: string): string =>
  composed(text)
    .toLowerCase()
    .replaceAll(/[\s_.]/g, '');

/** Names of one unit that a person adds. */
export interface UnitAliases {
  readonly unit: string;
  readonly names: readonly string[];
}

/** Knows which spellings are one unit. */
export class UnitNames {
  readonly #symbols = new Map<string, string>();
  readonly #words = new Map<string, string>();

  /** @param added go before those that are known. */
  constructor(added: readonly UnitAliases[] = []) {
    for (const [unit, { symbols, words = [] }] of Object.entries(UNITS)) {
      for (const symbol of [unit, ...symbols]) this.#symbols.set(composed(symbol), unit);
      for (const word of words) this.#words.set(folded(word), unit);
    }
    for (const { unit, names } of added) {
      const shown = this.nameOf(unit);
      for (const name of names) {
        this.#symbols.set(name, shown);
        this.#symbols.set(composed(name), shown);
      }
    }
    // What devices mostly send is found at once.
    for (const unit of Object.keys(UNITS)) if (!this.#symbols.has(unit)) this.#symbols.set(unit, unit);
  }

  /** The one name of a unit, however it is written; of a unit that is not known its own, without the spaces around it. */
  nameOf(unit: string): string {
    return this.#symbols.get(unit) ?? this.#symbols.get(composed(unit)) ?? this.#words.get(folded(unit)) ?? unit.trim();
  }
}
