/** The programs that floorwatch needs and no npm package ships. */
export const SERVER_NAMES = ['nats-server', 'influxd', 'chromium'] as const;
export type ServerName = (typeof SERVER_NAMES)[number];

/** A program that was found and answered when it was asked for its version. */
export interface FoundServer {
  /** Absolute path of the executable. */
  readonly path: string;
  /** Such as `2.9.10`. */
  readonly version: string;
  /** Where it came from, for people: `PATH`, `cache`, … */
  readonly how: string;
}

/** An official release, byte for byte. */
export interface Release {
  readonly version: string;
  /** Of the archives' folder; tests put another in its place. */
  readonly baseUrl: string;
  /** By Node's name of the processor (`process.arch`). Only checksums that were confirmed stand here. */
  readonly archives: Readonly<Partial<Record<string, { readonly file: string; readonly sha256: string }>>>;
  /** Name of the executable inside the archive. */
  readonly executable: string;
}

/** What is known of one program: how to recognise it and where it can be had. */
export interface ServerProgram {
  readonly name: ServerName;
  /** Environment variable with a path that a person chose. */
  readonly variable: string;
  /** Names under which it is installed, the best first. */
  readonly executables: readonly string[];
  readonly versionArguments: readonly string[];
  /** Finds the version in what the program prints; group 1. */
  readonly versionPattern: RegExp;
  /** Older ones are not used. */
  readonly versionMin: string;
  /** Module that `go install` builds, with its version. */
  readonly goModule?: string;
  readonly debian?: {
    readonly package: string;
    /**
     * Path of the executable inside the package, if it runs without the packages that it depends on. Undefined: the package must be
     * installed, which needs root.
     */
    readonly executable?: string;
  };
  readonly release?: Release;
  /** One command or step that helps when nothing else did. */
  readonly remedy: string;
}

export const SERVER_PROGRAMS: Readonly<Record<ServerName, ServerProgram>> = {
  'nats-server': {
    name: 'nats-server',
    variable: 'FLOORWATCH_NATS_SERVER',
    executables: ['nats-server'],
    versionArguments: ['--version'],
    versionPattern: /nats-server: v(\d+\.\d+\.\d+)/,
    versionMin: '2.9.0',
    goModule: 'github.com/nats-io/nats-server/v2@v2.15.2',
    debian: { package: 'nats-server', executable: 'usr/sbin/nats-server' },
    // Checksums as in the project's own container image: nats-io/nats-docker, 2.10.x/alpine3.22/Dockerfile.
    release: {
      version: '2.10.29',
      baseUrl: 'https://github.com/nats-io/nats-server/releases/download/v2.10.29',
      archives: {
        x64: {
          file: 'nats-server-v2.10.29-linux-amd64.tar.gz',
          sha256: 'e314da74a83a1d3876db8814c27eb990fe729640fd6452025b441bcede8390da',
        },
        arm64: {
          file: 'nats-server-v2.10.29-linux-arm64.tar.gz',
          sha256: 'da4b27942ecfb4c5f0c54553d2e7f470ddda9d7581cfe8131b351a0e223ed401',
        },
      },
      executable: 'nats-server',
    },
    remedy: 'sudo apt-get install nats-server',
  },
  influxd: {
    name: 'influxd',
    variable: 'FLOORWATCH_INFLUXD',
    executables: ['influxd'],
    versionArguments: ['version'],
    versionPattern: /InfluxDB v?(\d+\.\d+\.\d+)/,
    versionMin: '2.0.0',
    remedy: 'install InfluxDB OSS 2.7 (https://docs.influxdata.com/influxdb/v2/install/) and put influxd on PATH',
  },
  chromium: {
    name: 'chromium',
    variable: 'FLOORWATCH_CHROMIUM',
    executables: ['chromium', 'chromium-browser', 'google-chrome-stable', 'google-chrome'],
    versionArguments: ['--version'],
    versionPattern: /(?:Chromium|Google Chrome)\s+(\d+\.\d+\.\d+)/,
    versionMin: '100.0.0',
    debian: { package: 'chromium' },
    remedy: 'sudo apt-get install chromium',
  },
};
