// Opening an item: its facts, its picture, the lease, and the newest of all drafts of it.

import type { ItemInfo, Kind, Lease } from '../api'
import type { Codec } from '../editor/codec'
import { type Picture, sizeOf } from '../editor/png'
import { type Client, type PictureName, ServerError } from './client'
import type { LocalDraft, LocalDrafts } from './saver/local'

export interface Opening {
  info: ItemInfo
  picture: Picture
  lease: Lease | null
  /** Why nothing can be drawn, as a sentence; null where it can. */
  obstacle: string | null
  start: Start
  /** Another draft on this computer that the server's would hide. */
  other: LocalDraft | null
}

/** What the mask is when the item opens. */
export interface Start {
  from: 'nothing' | 'prediction' | 'label' | 'server draft' | 'local draft'
  kind: Kind
  seconds: number
  mask: Uint8Array | null
  /** A draft that the server does not have yet. */
  unsent: LocalDraft | null
}

export interface Means {
  client: Client
  codec: Codec
  drafts: LocalDrafts
}

export async function openItem(
  id: string,
  key: string,
  startFrom: 'nothing' | 'prediction',
  { client, codec, drafts }: Means,
): Promise<Opening> {
  const [info, picture, kept] = await Promise.all([
    client.item(id),
    client.picture(id, 'image').then(codec.decode),
    drafts.get(key).catch(() => null), // a private window keeps none
  ])
  const local = kept && fits(kept, info) ? kept : null
  // Of another project of this name, as after it was made anew: no use here, now or ever.
  if (kept && !local) await drafts.remove(key).catch(() => {})
  const { lease, obstacle } = await takeLease(info, client)
  const source = chooseStart(info, local, startFrom)
  const mask = await readStart(source, info, local, { client, codec })
  const isHidden =
    local !== null && source !== 'local draft' && info.draft !== null && !sameDraft(local, info)
  return {
    info: { ...info, sequence: Math.max(info.sequence, lease?.sequence ?? 0) },
    picture,
    lease,
    obstacle,
    start: {
      from: source,
      mask,
      kind: kindOf(source, info, local),
      // The time of an earlier label is counted with that label.
      seconds: Math.max(source === 'local draft' ? local!.seconds : 0, info.draft?.seconds ?? 0),
      unsent: source === 'local draft' ? local : null,
    },
    other: isHidden ? local : null,
  }
}

async function takeLease(info: ItemInfo, client: Client) {
  if (!info.may_label) {
    const why = 'This item is kept to score the model and was not asked for; it can only be seen.'
    return { lease: null, obstacle: why }
  }
  try {
    return { lease: await client.lease(info.item), obstacle: null }
  } catch (error) {
    if (error instanceof ServerError && error.status === 409) {
      const by = error.facts.by ?? info.lease?.by
      return { lease: null, obstacle: by ? `${by} is labelling this item now.` : error.message }
    }
    throw error
  }
}

/** The newest wins: by the number that only grows, then the label, then what the person prefers. */
export function chooseStart(
  info: ItemInfo,
  local: LocalDraft | null,
  startFrom: 'nothing' | 'prediction',
): Start['from'] {
  if (local && local.sequence > info.sequence) return 'local draft'
  if (info.draft) return 'server draft'
  if (info.label) return 'label'
  return startFrom === 'prediction' && info.prediction ? 'prediction' : 'nothing'
}

function fits({ png }: LocalDraft, info: ItemInfo): boolean {
  const { height, width } = sizeOf(png)
  return height === info.height && width === info.width
}

const sameDraft = (local: LocalDraft, info: ItemInfo) => local.sequence === info.draft?.sequence

function kindOf(from: Start['from'], info: ItemInfo, local: LocalDraft | null): Kind {
  if (from === 'local draft') return local!.kind
  if (from === 'server draft') return info.draft!.kind
  return from === 'label' ? info.label!.kind : 'mask'
}

async function readStart(
  from: Start['from'],
  info: ItemInfo,
  local: LocalDraft | null,
  { client, codec }: Pick<Means, 'client' | 'codec'>,
): Promise<Uint8Array | null> {
  if (from === 'nothing') return null
  if (from === 'local draft') return readMask(local!.png.slice(), info, codec)
  const names: Record<'prediction' | 'label' | 'server draft', PictureName> = {
    prediction: 'prediction',
    label: 'label',
    'server draft': 'draft',
  }
  return readMask(await client.picture(info.item, names[from]), info, codec)
}

/** Class numbers from a PNG that must have the item's size. */
export async function readMask(png: Uint8Array, info: ItemInfo, codec: Codec): Promise<Uint8Array> {
  const { height, width, channels, data } = await codec.decode(png)
  if (height !== info.height || width !== info.width || channels !== 1) {
    throw new Error(
      `the mask is ${width} x ${height}, the image ${info.width} x ${info.height}; reload the page`,
    )
  }
  return data as Uint8Array
}
