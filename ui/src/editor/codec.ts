// Decoding and encoding beside the page's own thread, so that no stroke waits for them.

import { decodePng, encodeGrey, type Picture } from './png'
import { autoWindow, shrink, tonePixels, toneTable } from './tone'

export interface Codec {
  decode(bytes: Uint8Array): Promise<Picture>
  /** Screen pixels of a small picture with its own window. */
  thumbnail(bytes: Uint8Array, edge: number): Promise<Thumbnail>
  /** Takes the pixels away from the caller. */
  encode(data: Uint8Array, height: number, width: number): Promise<Uint8Array<ArrayBuffer>>
  close(): void
}

export interface Thumbnail {
  height: number
  width: number
  pixels: Uint8ClampedArray<ArrayBuffer>
}

export type Request =
  | { id: number; do: 'decode'; bytes: Uint8Array }
  | { id: number; do: 'thumbnail'; bytes: Uint8Array; edge: number }
  | { id: number; do: 'encode'; data: Uint8Array; height: number; width: number }

export type Reply = { id: number; value: unknown } | { id: number; error: string }

export async function makeThumbnail(bytes: Uint8Array, edge: number): Promise<Thumbnail> {
  const small = shrink(await decodePng(bytes), edge)
  const window = small.channels === 3 ? { low: 0, high: 255 } : autoWindow(small)
  const { height, width } = small
  const whole = { y0: 0, x0: 0, y1: height, x1: width }
  const pixels = tonePixels(small, toneTable(window, small.bits), whole)
  return { height, width, pixels: pixels as Uint8ClampedArray<ArrayBuffer> }
}

/** The same in this thread: for tests, and where there are no workers. */
export const localCodec: Codec = {
  decode: decodePng,
  thumbnail: makeThumbnail,
  encode: encodeGrey,
  close: () => {},
}

export function makeCodec(worker: Worker): Codec {
  const waiting = new Map<number, { resolve(value: never): void; reject(error: Error): void }>()
  let count = 0
  worker.onmessage = ({ data }: MessageEvent<Reply>) => {
    const found = waiting.get(data.id)
    waiting.delete(data.id)
    if ('error' in data) found?.reject(new Error(data.error))
    else found?.resolve(data.value as never)
  }
  worker.onerror = (event) => {
    for (const { reject } of waiting.values())
      reject(new Error(`the picture worker: ${event.message}`))
    waiting.clear()
  }
  const ask = <T>(request: Request, moved: Uint8Array): Promise<T> =>
    new Promise((resolve, reject) => {
      waiting.set(request.id, { resolve, reject })
      worker.postMessage(request, [moved.buffer])
    })
  return {
    decode: (bytes) => ask({ id: ++count, do: 'decode', bytes }, bytes),
    thumbnail: (bytes, edge) => ask({ id: ++count, do: 'thumbnail', bytes, edge }, bytes),
    encode: (data, height, width) => ask({ id: ++count, do: 'encode', data, height, width }, data),
    close: () => worker.terminate(),
  }
}
