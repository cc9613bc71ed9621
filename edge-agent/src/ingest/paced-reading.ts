import type { Socket } from 'node:net';

/**
 * What connections may read in a turn of the event loop: the more of them have something left to read, the less each, so that one with a single
 * message does not wait long for many that flood.
 */
export class ReadingShare {
  readonly #pieceBytesMax: number;
  readonly #pieceBytesMin: number;
  readonly #turnBytes: number;
  #busy = 0;

  /**
   * @param sizes.pieceBytesMin what each may always read.
   * @param sizes.pieceBytesMax what each may read at most.
   * @param sizes.turnBytes what all of them may read together, unless that is less than the minimum for each.
   */
  constructor(sizes: { readonly pieceBytesMin: number; readonly pieceBytesMax: number; readonly turnBytes: number }) {
    this.#pieceBytesMin = sizes.pieceBytesMin;
    this.#pieceBytesMax = sizes.pieceBytesMax;
    this.#turnBytes = sizes.turnBytes;
  }

  get pieceBytes(): number {
    const share = Math.floor(this.#turnBytes / Math.max(1, this.#busy));
    return Math.max(this.#pieceBytesMin, Math.min(this.#pieceBytesMax, share));
  }

  /** A connection has something left to read, or has nothing any more. */
  count(connections: 1 | -1): void {
    this.#busy += connections;
  }
}

/**
 * Makes a socket hand out what it has received in pieces, at most one in a turn of the event loop, and none while `isHeld`.
 *
 * aedes asks for more behind every packet, also from within the parser, while the rest of a piece is still to be parsed. Whatever it got then
 * would be parsed in the middle of that piece, and packets would be torn, lost and taken twice. With one piece in a turn this cannot happen,
 * whichever callback of aedes is called at once. It also lets connections take turns.
 *
 * Not to read is what makes TCP, and so the device, wait.
 *
 * @param share says how large a piece is.
 * @param held called when somebody asked for more in vain because of `isHeld`. Emit `readable` on the socket when that may have changed.
 */
export function paceReading(
  socket: Pick<Socket, 'read' | 'readableLength' | 'emit'> & { once(event: 'close', listener: () => void): unknown },
  share: ReadingShare,
  isHeld: () => boolean,
  held: () => void,
): void {
  const read = socket.read.bind(socket);
  let handedOut = false;
  let isAsked = false;
  let isBusy = false;
  const setBusy = (busy: boolean): void => {
    if (busy !== isBusy) share.count(busy ? 1 : -1);
    isBusy = busy;
  };
  const nextTurn = (): void => {
    handedOut = false;
    // aedes asks again behind the packets that it finds; nobody would, if there is no whole one.
    if (!isAsked && socket.readableLength === 0) return;
    isAsked = false;
    socket.emit('readable');
  };
  socket.once('close', () => setBusy(false));
  socket.read = (size?: number): unknown => {
    if (size === 0) return isHeld() ? null : read(0);
    if (isHeld()) {
      setBusy(false);
      held();
      return null;
    }
    if (handedOut) {
      isAsked = true;
      return null;
    }
    const { pieceBytes } = share;
    const piece: unknown = read(socket.readableLength > pieceBytes ? pieceBytes : size);
    setBusy(piece !== null && socket.readableLength > 0);
    if (piece !== null) {
      handedOut = true;
      setImmediate(nextTurn);
    }
    return piece;
  };
}
