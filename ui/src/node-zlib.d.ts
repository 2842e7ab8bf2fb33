// For the tests alone, instead of all types of Node.
declare module 'node:zlib' {
  export function deflateSync(data: Uint8Array): Uint8Array
}
