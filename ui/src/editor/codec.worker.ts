import { makeThumbnail, type Reply, type Request } from './codec'
import { decodePng, encodeGrey } from './png'

async function answer(request: Request): Promise<[unknown, Transferable[]]> {
  if (request.do === 'decode') {
    const picture = await decodePng(request.bytes)
    return [picture, [picture.data.buffer]]
  }
  if (request.do === 'thumbnail') {
    const small = await makeThumbnail(request.bytes, request.edge)
    return [small, [small.pixels.buffer]]
  }
  const png = await encodeGrey(request.data, request.height, request.width)
  return [png, [png.buffer]]
}

const scope = self as unknown as {
  onmessage: (event: MessageEvent<Request>) => void
  postMessage(reply: Reply, moved: Transferable[]): void
}

scope.onmessage = ({ data: request }) => {
  answer(request).then(
    ([value, moved]) => scope.postMessage({ id: request.id, value }, moved),
    (error: Error) => scope.postMessage({ id: request.id, error: error.message }, []),
  )
}
