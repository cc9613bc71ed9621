import type { Socket } from 'node:net';

/**
 * Makes a socket hand out what it has received in pieces: at most one of `pieceBytesMax` bytes in a turn of the event loop, and none while
 * `isHeld`.
 *
 * aedes asks for more behind every packet, also from within the parser, while the rest of a piece is still to be parsed. Whatever it got then
 * would be parsed in the middle of that piece, and packets would be torn, lost and taken twice. With one piece in a turn this cannot happen,
 * whichever callback of aedes is called at once. It also lets connections take turns.
 *
 * Not to read is what makes TCP, and so the device, wait.
 *
 * @param held called when somebody asked for more in vain because of `isHeld`. Emit `readable` on the socket when that may have changed.
 */
export function paceReading(
  socket: Pick<Socket, 'read' | 'readableLength' | 'emit'>,
  pieceBytesMax: number,
  isHeld: () => boolean,
  held: () => void,
): void {
  const read = socket.read.bind(socket);
  let handedOut = false;
  let isAsked = false;
  const nextTurn = (): void => {
    handedOut = false;
    // aedes asks again behind the packets that it finds; nobody would, if there is no whole one.
    if (!isAsked && socket.readableLength === 0) return;
    isAsked = false;
    socket.emit('readable');
  };
  socket.read = (size?: number): unknown => {
    if (size === 0) return isHeld() ? null : read(0);
    if (isHeld()) {
      held();
      return null;
    }
    if (handedOut) {
      isAsked = true;
      return null;
    }
    const piece: unknown = read(socket.readableLength > pieceBytesMax ? pieceBytesMax : size);
    if (piece !== null) {
      handedOut = true;
      setImmediate(nextTurn);
    }
    return piece;
  };
}
