import { describe, expect, it, vi } from 'vitest'
import type { ItemInfo } from '../api'
import { localCodec } from '../editor/codec'
import { encodeGrey } from '../editor/png'
import { type Client, ServerError } from './client'
import type { LocalDraft, LocalDrafts } from './saver/local'
import { chooseStart, openItem } from './work'

const item = (change: Partial<ItemInfo> = {}): ItemInfo => ({
  item: 'p1/ED 3',
  group: ['p1', 'ED'],
  z: 3,
  height: 2,
  width: 3,
  channels: 1,
  bits: 8,
  spacing: [1, 1, 1],
  window: { low: 0, high: 255 },
  scale: { slope: 1, intercept: 0 },
  previous: null,
  next: null,
  prediction: true,
  uncertainty: false,
  label: null,
  draft: null,
  sequence: 0,
  reason: null,
  split: 'train',
  audit: false,
  may_label: true,
  reading: 1,
  lease: null,
  skipped: null,
  ...change,
})

const png = (value: number, height = 2, width = 3) =>
  encodeGrey(new Uint8Array(height * width).fill(value), height, width)

const local = async (sequence: number): Promise<LocalDraft> => ({
  sequence,
  kind: 'scribble',
  seconds: 40,
  png: await png(9),
  at: 0,
})

function means(info: ItemInfo, kept: LocalDraft | null, change: Partial<Client> = {}) {
  const pictures: Record<string, number> = { image: 0, draft: 1, label: 2, prediction: 3 }
  const client = {
    item: async () => info,
    picture: async (_: string, name: string) => png(pictures[name]),
    lease: async () => ({ item: info.item, until: '', revision: 0, sequence: info.sequence }),
    ...change,
  } as unknown as Client
  const drafts: LocalDrafts = {
    get: async () => kept,
    put: async () => {},
    remove: vi.fn(async () => {}),
  }
  return { client, drafts, codec: localCodec }
}

describe('chooseStart', () => {
  it('takes the newest draft, then the label, then what the person prefers', async () => {
    const draft = { sequence: 5, kind: 'mask', seconds: 1 } as const
    const label = { kind: 'mask', by: 'me', revision: 1, seconds: 1 } as const
    expect(chooseStart(item({ draft, sequence: 5 }), await local(6), 'nothing')).toBe('local draft')
    expect(chooseStart(item({ draft, sequence: 5 }), await local(5), 'nothing')).toBe(
      'server draft',
    )
    expect(chooseStart(item({ label, sequence: 5 }), await local(5), 'nothing')).toBe('label')
    expect(chooseStart(item(), null, 'prediction')).toBe('prediction')
    expect(chooseStart(item({ prediction: false }), null, 'prediction')).toBe('nothing')
    expect(chooseStart(item(), null, 'nothing')).toBe('nothing')
  })
})

describe('openItem', () => {
  it('goes on with the draft that the server never got', async () => {
    const kept = await local(4)
    const info = item({ draft: { sequence: 3, kind: 'mask', seconds: 50 }, sequence: 3 })
    const given = means(info, kept)
    const { start, other } = await openItem('p1/ED 3', 'k', 'nothing', given)
    expect(start).toMatchObject({
      from: 'local draft',
      kind: 'scribble',
      seconds: 50,
      unsent: kept,
    })
    expect(start.mask?.[0]).toBe(9)
    expect(other).toBeNull()
    expect(given.drafts.remove).not.toHaveBeenCalled()
  })

  it('offers a local draft that another computer overtook', async () => {
    const kept = await local(2)
    const info = item({ draft: { sequence: 7, kind: 'mask', seconds: 1 }, sequence: 7 })
    const { start, other } = await openItem('p1/ED 3', 'k', 'nothing', means(info, kept))
    expect(start.from).toBe('server draft')
    expect(start.mask?.[0]).toBe(1)
    expect(other).toBe(kept)
  })

  it('is read-only while somebody else holds the lease, and for items nobody asked for', async () => {
    const lease = async () => {
      throw new ServerError(409, 'taken', { by: 'anna' })
    }
    const taken = await openItem('a', 'k', 'nothing', means(item(), null, { lease }))
    expect(taken.obstacle).toContain('anna')
    const kept = await openItem('a', 'k', 'nothing', means(item({ may_label: false }), null))
    expect(kept.obstacle).toContain('only be seen')
    expect(kept.lease).toBeNull()
  })

  it('drops a local draft of another size, as of an older project of that name', async () => {
    const kept = { ...(await local(4)), png: await png(9, 4, 4) }
    const given = means(item(), kept)
    const { start, other } = await openItem('p1/ED 3', 'k', 'nothing', given)
    expect(start).toMatchObject({ from: 'nothing', seconds: 0, unsent: null })
    expect(other).toBeNull()
    expect(given.drafts.remove).toHaveBeenCalledExactlyOnceWith('k')
  })

  it('refuses a mask of another size', async () => {
    const info = item({ label: { kind: 'mask', by: 'me', revision: 1, seconds: 1 } })
    const picture = async () => png(1, 5, 5)
    await expect(openItem('a', 'k', 'nothing', means(info, null, { picture }))).rejects.toThrow(
      '5 x 5',
    )
  })
})
