// Looking at the slices above and below: read-only, the own mask waits.

import { useCallback, useEffect, useRef, useState } from 'react'
import type { ItemInfo } from '../api'
import type { Editor } from '../editor/editor'
import type { Picture } from '../editor/png'
import { useApp } from './context'

const KEPT = 16

interface Slice {
  info: ItemInfo
  picture: Picture
}

export interface Slices {
  /** How far the slice in sight is from the own one; 0 is the own one. */
  offset: number
  step(by: -1 | 1): void
  back(): void
}

export function useSlices(editor: Editor | null, own: ItemInfo | null): Slices {
  const { client, codec, report } = useApp()
  const [offset, setOffset] = useState(0)
  const known = useRef(new Map<string, Promise<Slice>>())
  const seen = useRef<ItemInfo | null>(null)
  const wanted = useRef(0)

  const load = useCallback(
    (id: string) => {
      const found = known.current.get(id)
      if (found) return found
      const slice = Promise.all([
        client.item(id),
        client.picture(id, 'image').then(codec.decode),
      ]).then(([info, picture]) => ({ info, picture }))
      known.current.set(id, slice)
      slice.catch(() => known.current.delete(id))
      if (known.current.size > KEPT) known.current.delete([...known.current.keys()][0])
      return slice
    },
    [client, codec],
  )

  const back = useCallback(() => {
    wanted.current++
    seen.current = null
    setOffset(0)
    editor?.peek(null)
  }, [editor])

  const step = useCallback(
    async (by: -1 | 1) => {
      if (!editor || !own) return
      const from = seen.current ?? own
      const id = by < 0 ? from.previous : from.next
      if (id === null) return
      const mine = ++wanted.current
      if (id === own.item) {
        back()
        return
      }
      try {
        const { info, picture } = await load(id)
        // A faster wheel has asked for another slice meanwhile.
        if (wanted.current !== mine) return
        seen.current = info
        editor.peek(picture)
        setOffset(info.z - own.z)
        const further = by < 0 ? info.previous : info.next
        if (further) void load(further).catch(() => {})
      } catch (error) {
        report(error)
      }
    },
    [back, editor, load, own, report],
  )

  // Escape leaves the slice inside the editor; the number beside the image must follow.
  useEffect(
    () =>
      editor?.subscribe(() => {
        if (!editor.state().isPeeking && seen.current !== null) {
          seen.current = null
          setOffset(0)
        }
      }),
    [editor],
  )

  return { offset, step, back }
}
