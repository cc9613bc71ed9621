import { days, hours, limits as contractLimits, minutes, seconds } from '@floorwatch/contracts';

const KIB = 1024;
const MIB = 1024 * KIB;

/** Bytes of one payload. An object with a reading is below 1 KiB; the room above is for lists, and for descriptions that some devices add. */
const payloadBytesMax = 64 * KIB;

/** Limits of the agent itself. What a person may want to change is configuration; these follow from the design. */
export const limits = {
  payloadBytesMax,
  /**
   * Bytes of an MQTT packet that reach a parser; the rest of a larger one is thrown away as it arrives. Payload, the longest
   * topic (64 KiB) and a little for properties: a payload cut here is still larger than `payloadBytesMax`, and is rejected for it.
   */
  packetBytesMax: payloadBytesMax + 68 * KIB,
  /**
   * Bytes of a packet that is neither PUBLISH nor CONNECT. Only SUBSCRIBE and UNSUBSCRIBE have more than a few: some hundred filters, which take a
   * millisecond, fit.
   */
  controlBytesMax: 16 * KIB,
  /** Packets in what a socket hands out at a time, `readBytesMax`; the shortest packet has two bytes. */
  packetsPerReadMax: 4 * KIB,
  /**
   * Bytes of a socket that are taken apart at a time, about a hundred readings. All of them are in memory at once: with what a socket gives, half
   * a megabyte of objects of each connection would outlive the space for new ones.
   */
  readBytesMax: 8 * KIB,
  /**
   * Bytes that all sockets with something left to read are read together in a turn of the event loop, a few milliseconds of work; and bytes that
   * each of them is read however many they are: ten readings, below which taking turns costs more than it helps.
   */
  readBytesPerTurn: 32 * KIB,
  readBytesMin: KIB,
  /** Messages between a broker and the pipeline. A burst of one second from a thousand sensors fits ten times. */
  pendingMessagesMax: 10_000,
  /** Bytes of payloads and topics between a broker and the pipeline. */
  pendingBytesMax: 16 * MIB,
  /** Messages and bytes of one sender between the embedded broker and the pipeline: a second of what one device can send. */
  laneMessagesMax: 1_000,
  laneBytesMax: MIB,
  /**
   * Readings that wait for their commit at a time while more wait to be taken, of all senders together: what a sparse sender waits behind. At least what
   * the agent can take while a fast disk commits; for each millisecond of `storage.commitMs` what a processor can take in it; and less than
   * `openReadingsMax`, so that there is room for those of which nothing waits.
   */
  openReadingsShared: { min: 2_500, perCommitMs: 20, max: 16_000 },
  /** Readings that are taken of one sender before it is the turn of the next. With 2,000 senders that flood, a message waits for 64 deliveries. */
  turnReadings: 32,
  /** Readings handed on together, but for a message that holds more: about 5 ms of work on a Raspberry Pi, so that ticks and HTTP are not kept waiting. */
  deliveryReadingsMax: 1_000,
  /** Connections to the embedded broker at a time. Each costs about 30 KiB. */
  connectionsMax: 2_000,
  /** Of these, those from one address that is not this machine's own: half, which leaves room for the others. */
  connectionsPerAddressMax: 1_000,
  /** Silence of a client from which its place can go to another when all are taken; of one that has not logged in, which has nothing to wait for. */
  idleMsMin: seconds(60),
  idleUnknownMsMin: seconds(5),
  /** How often it is looked which connections have received something. */
  idleLookMs: seconds(5),
  /** Silence of a connection from which TCP asks whether the other side is still there; it is closed 10 s later if not. */
  tcpKeepAliveMs: seconds(60),
  /** Bytes of the longest password of a user of the embedded broker. */
  passwordBytesMax: KIB,
  /** Logins of one user at one address that wait for the check of their password, about 50 ms each: more is guessing. */
  loginsWaitingPerUserMax: 8,
  /** Logins that wait: 25 s of checks, which is how long clients wait for an answer before they give up. */
  loginsWaitingMax: 500,
  /** Wrong passwords that are known again without a check: those of a few hundred devices that were set up wrong. */
  wrongPasswordsRemembered: 1_000,
  /** How long a client must cause nothing that the broker refuses before it is forgotten, and its trouble with it. */
  doorQuietMs: minutes(10),
  /** Clients remembered for each reason for which the broker refuses something. */
  doorClientsMax: 100,
  /** Characters of a client id. 23 are usual (MQTT 3.1.1, 3.1.3.1); it is remembered with a session. */
  clientIdLengthMax: 256,
  /** Bytes of a last will and its topic: it is kept as long as its connection, so this is 8 MiB for all. */
  willBytesMax: 4 * KIB,
  /**
   * Subscriptions of one client and of all of them, each 2 to 3 KB: Home Assistant takes one for every entity, and a thousand devices may listen for
   * commands with three each. As many filters are remembered for the sessions.
   */
  subscriptionsPerClientMax: 1_000,
  subscriptionsMax: 5_000,
  /** Characters of a filter. A topic that is remembered has as many. */
  filterLengthMax: 512,
  /** Sessions that are remembered: as many as can be connected, and as many that are absent. */
  sessionsMax: 4_000,
  /**
   * Messages of QoS 2 that one session may leave unfinished, and all of them together, about 100 bytes each. Most devices stay below 100; some
   * libraries send everything that they have at once.
   */
  unfinishedPerClientMax: 10_000,
  unfinishedMax: 100_000,
  /** Messages, and their bytes, that wait to be passed on to subscribers: some tenths of a second of a large floor. */
  deliveryQueueMax: 1_000,
  deliveryQueueBytesMax: MIB,
  /** Deliveries to subscribers in a turn of the event loop: a millisecond or two, so that readings are not kept waiting. */
  deliveriesPerTurnMax: 200,
  /** Bytes that wait for one subscriber: seconds of a large floor, in which a program may pause. */
  unsentPerSubscriberBytesMax: 256 * KIB,
  /** Bytes that wait for all subscribers together; beyond that each may have as little as a socket takes at a time. */
  unsentBytesMax: 8 * MIB,
  unsentWhenFullBytesMax: 16 * KIB,
  /** How long a subscriber may read nothing, while messages are dropped for it, before its connection is closed. */
  subscriberStalledMs: seconds(10),
  /** Topics whose device and metric are remembered; at the limit all are forgotten and learned again. */
  topicsRememberedMax: 50_000,
  /** Characters of a topic that is remembered. Two names and the words of a usual template are below it. */
  topicRememberedLengthMax: 512,
  /**
   * Readings among which repeats of an external broker are recognised, of all sensors together. It repeats what it had sent and not seen
   * acknowledged when the agent was killed, which can be seconds of readings (docs/chaos.md). 12 bytes each; what the first sensors keep of
   * their larger shares makes it four times as many at most.
   */
  duplicatesShared: 200_000,
  /**
   * Clients of the embedded broker whose last messages are remembered, to know their repeats: twice those that can be connected. Beyond it the one
   * that has been away the longest is forgotten.
   */
  clientsRememberedMax: 4_096,
  /**
   * Messages of a client that are remembered: what clients share evenly, within bounds. 12 bytes each; what the first clients keep of their
   * larger shares makes it four times as many at most, 12 MB. The least is two flights of a full topic.
   */
  messagesRememberedShared: 262_144,
  messagesRememberedMin: 64,
  messagesRememberedMax: 1_024,
  /** Silence of an external broker after which it is asked to confirm the subscriptions. Most floors report more often than that. */
  brokerSilenceMs: seconds(60),
  /** How long an external broker may take to confirm them, before the connection is given up. */
  brokerAnswerMs: seconds(10),
  /** Levels of a topic template; deeper ones are mistakes. */
  topicLevelsMax: 20,
  /** Readings of one message that the configuration can allow: as many repeats of a sensor as it can have remembered. */
  readingsPerMessageMax: 4_096,
  /** Rules and aliases of units in the configuration. More are a list of sensors, not of classes. */
  unitRulesMax: 1_000,
  /** Bytes of a reading in the journal at most: names and unit of the greatest length, in UTF-8, and some 50 more. */
  journaledReadingBytesMax: KIB,
  /** Fields of a payload that a template can name as no metrics. */
  ignoredFieldsMax: 100,
  /** Templates in the configuration. A topic is tried against each until one matches. */
  topicTemplatesMax: 100,
  /** Rejected messages that the status page shows. */
  rejectsShownMax: 100,
  /** Characters of a rejected payload or topic that the status page shows. */
  excerptLengthMax: 120,
  /** Event hours in which episodes opened that are counted one by one: three weeks. What opened earlier and closes now begins a new count. */
  countedEpisodeHoursMax: 500,
  /** Bytes of counted hours in one tick; a batch holds four times as much, and names may take several bytes per character. */
  countedBytesMax: 60 * KIB,
  /** Bytes of one encoded record: what a batch may hold, less its envelope. */
  recordBytesMax: contractLimits.batchBytesMax - 4 * KIB,
  /** How long a message to JetStream may stay unanswered before its outcome counts as unknown. */
  publishMsMax: seconds(5),
  /** Longest pause between two attempts to send the same batch. */
  retryMsMax: seconds(10),
  /** How long what a processor has committed is kept all the same: more than twice what NATS may take until a message is synced. */
  trimGraceMs: minutes(5),
  /**
   * Bytes of a lane sent and not committed by a processor. Then it waits: the stream is a pipe, the disk of the gateway is the store. A live
   * anomaly stands in the stream behind what of the telemetry is unread, so that may be no more than a processor reads in a few seconds.
   */
  uncommittedBytesMax: { anomaly: 64 * MIB, telemetry: 16 * MIB },
  /** How often a lane that waits for a processor sends a batch once more, to see whether the stream still has what it had. */
  probeMs: minutes(1),
  /**
   * How often a lane trims and saves where sending stands: a tenth of the grace period, but within these. What was sent since the last time is
   * sent again after a crash; every time wears the disk by 16 KiB.
   */
  keepHouseMs: seconds(5),
  keepHouseMsMax: seconds(30),
  /** Alarms of one lane that are kept. */
  laneAlarmsMax: 8,
  /** Age from which an anomaly that is sent is backlog: too old to page somebody. */
  liveMsMax: seconds(60),
  /** Pause before a refused subscription is tried again. */
  resubscribeMs: seconds(10),
  /** How long the shutdown waits for messages already received to pass the pipeline. */
  drainMsMax: seconds(2),
  /** How often the pipeline tells the engine the time, so that rollups close and the watermark moves. */
  tickMs: seconds(5),
  /** A status record comes with the first tick after a start, and with every so many'th one from there: every 30 s. */
  ticksPerStatus: 6,
  /** Deliveries that wait for their commit at a time: one per millisecond, many times over, at the usual commit delay. */
  openDeliveriesMax: 256,
  /** Readings that wait for their commit at a time: a second of a large floor, which is what an SD card's commit takes. */
  openReadingsMax: 20_000,
  /** Readings that are safe and wait to be processed, about 6 MB. They pile up only while a lane can't be written. */
  processingItemsMax: 20_000,
  /** Items processed before what they made is appended: about 15 ms of work, so that ticks and HTTP are not kept waiting. */
  stepItemsMax: 5_000,
  /** Bytes of records from which what was made is appended. */
  stepBytesMax: MIB,
  /** Pause before something is written again that a disk refused. */
  refusedPauseMs: seconds(1),
  /** Pause between two snapshots that are taken because the journal is half full. */
  pressingSnapshotMs: seconds(10),
  /** Episodes that ended because another engine took over whose ids are remembered, so that none is given twice. */
  endedEpisodesMax: 10_000,
  /** How long a replay runs before its progress is logged, and between two lines. */
  replayLoggedMs: seconds(3),
  /** Items replayed between two looks at the time, and between two appends of what they made. */
  replayStepItems: 2_000,
  /** Bounds of the setting `readings.futureMsMax`. */
  futureMsMax: minutes(60 * 24 * 366),
  /** Largest setting of `readings.pastMsMax`: recordings of any age. */
  pastMsMax: days(36_525),
  /** Share of a log's limit from which a person is told that it fills up. */
  fullShareWarned: 0.8,
  /** How long it is told that a floor message came that can't be true. */
  forgedShownMs: hours(24),
  /** Silence of the processor from which a person is told: two dozen floor messages in a row have not come. */
  floorSilentMsMax: minutes(2),
  /** How long what was sent may stay uncommitted by a processor that speaks, before a person is told: it commits every few seconds. */
  floorStalledMsMax: minutes(2),
  /** How long one check of the doctor may take unless it says otherwise, and how much longer it has to say what it found by then. */
  doctorCheckMsMax: seconds(10),
  doctorGraceMs: seconds(1),
  /** How long the doctor waits for one answer: a healthy server on a slow line needs a second. */
  doctorAskMsMax: seconds(4),
  /** Sensors that a device, a client or an hour may add whatever its share is: no machine has many more, and no small gateway feels the shares. */
  sensorsUnsharedMax: 100,
  /** How long a person is told that somebody had a share of the places for sensors. */
  shareToldMs: minutes(10),
  /** Sensors on one page of `/sensors`. */
  sensorsPageMax: 1_000,
} as const;
