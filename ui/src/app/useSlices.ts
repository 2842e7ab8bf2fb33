// Looking at the slices above and below: read-only, the own mask waits.

import { useCallback, useEffect, useRef, useState } from 'react'
import type { ItemInfo } from '../api'
import type { Editor } from '../editor/editor'
import type { Picture } from '../editor/png'
import { useApp } from './context'

const KEPT = 16

export interface Slices {
  /** How far the slice in sight is from the own one; 0 is the own one. */
  offset: number
  step(by: -1 | 1): void
  back(): void
}

export function useSlices(editor: Editor | null, own: ItemInfo | null): Slices {
  const { client, codec, report } = useApp()
  const [offset, setOffset] = useState(0)
  const infos = useRef(new Map<string, Promise<ItemInfo>>())
  const pictures = useRef(new Map<string, Promise<Picture>>())
  const seen = useRef<ItemInfo | null>(null)
  /** The slice to which all steps so far lead, also those that are not in sight yet. */
  const heading = useRef<Promise<ItemInfo> | null>(null)
  const wanted = useRef(0)

  const infoOf = useCallback(
    (id: string) => remembered(infos.current, id, () => client.item(id)),
    [client],
  )
  const pictureOf = useCallback(
    (id: string) =>
      remembered(pictures.current, id, () => client.picture(id, 'image').then(codec.decode)),
    [client, codec],
  )

  const back = useCallback(() => {
    wanted.current++
    seen.current = null
    heading.current = null
    setOffset(0)
    editor?.peek(null)
  }, [editor])

  const step = useCallback(
    async (by: -1 | 1) => {
      if (!editor || !own) return
      const beside = (info: ItemInfo) => (by < 0 ? info.previous : info.next)
      const mine = ++wanted.current
      // Each notch of a fast wheel counts, and only the slice where it stops is fetched.
      const target = (heading.current ?? Promise.resolve(own)).then((from) => {
        const id = beside(from)
        if (id === null) return from
        return id === own.item ? own : infoOf(id)
      })
      heading.current = target
      try {
        const info = await target
        if (wanted.current !== mine) return
        if (info.item === own.item) {
          back()
          return
        }
        const picture = await pictureOf(info.item)
        if (wanted.current !== mine) return
        seen.current = info
        editor.peek(picture)
        setOffset(info.z - own.z)
        const further = beside(info)
        if (further) void Promise.all([infoOf(further), pictureOf(further)]).catch(() => {})
      } catch (error) {
        if (wanted.current === mine) heading.current = seen.current && Promise.resolve(seen.current)
        report(error)
      }
    },
    [back, editor, infoOf, own, pictureOf, report],
  )

  // Escape leaves the slice inside the editor; the number beside the image must follow.
  useEffect(
    () =>
      editor?.subscribe(() => {
        if (!editor.state().isPeeking && seen.current !== null) {
          wanted.current++
          seen.current = null
          heading.current = null
          setOffset(0)
        }
      }),
    [editor],
  )

  return { offset, step, back }
}

/** What is fetched once; the oldest is forgotten, and so is what failed. */
function remembered<T>(known: Map<string, Promise<T>>, id: string, fetch: () => Promise<T>) {
  const found = known.get(id)
  if (found) return found
  const made = fetch()
  known.set(id, made)
  made.catch(() => known.delete(id))
  if (known.size > KEPT) known.delete([...known.keys()][0])
  return made
}
