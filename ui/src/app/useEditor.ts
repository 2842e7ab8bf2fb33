// The editor in the page: made once for an element, its state as React likes it.

import {
  type RefObject,
  useCallback,
  useEffect,
  useRef,
  useState,
  useSyncExternalStore,
} from 'react'
import {
  defaultState,
  type Editor,
  type EditorState,
  type Events,
  makeEditor,
  type Settable,
} from '../editor/editor'
import { countValues } from '../editor/mask'
import { useApp } from './context'
import { useIsDark } from './preferences'

/** The next item opens with the tools as they are now. */
let lastTools: Partial<Settable> = {}

function keepTools(state: EditorState): void {
  if (state.sizes.mask === 0) return // no image was ever opened
  const { tool, value, sizes, pressure, smooth, maskOpacity } = state
  const { predictionShown, predictionOpacity, uncertaintyShown, uncertaintyOpacity } = state
  const overlays = { predictionShown, predictionOpacity, uncertaintyShown, uncertaintyOpacity }
  lastTools = { tool, value, sizes, pressure, smooth, maskOpacity, ...overlays }
}

/** `events` may change from one rendering to the next. */
export function useEditor(
  host: RefObject<HTMLElement | null>,
  events: RefObject<Required<Events>>,
): [Editor | null, EditorState] {
  const { project } = useApp()
  const [editor, setEditor] = useState<Editor | null>(null)
  const isDark = useIsDark()

  useEffect(() => {
    if (!host.current) return
    const made = makeEditor(host.current, {
      onChange: () => events.current.onChange(),
      onSlice: (step) => events.current.onSlice(step),
    })
    const first = project.classes.find(({ number }) => number !== project.background)
    made.set({ ...(first && { value: first.number }), ...lastTools })
    setEditor(made)
    // For measurements from outside; the page itself does not use it.
    Object.assign(window, { fewmasksEditor: made })
    return () => {
      keepTools(made.state())
      made.close()
      setEditor(null)
    }
  }, [host, events, project])
  useEffect(() => editor?.setDark(isDark), [editor, isDark])

  const state = useSyncExternalStore(
    useCallback((listener) => editor?.subscribe(listener) ?? (() => {}), [editor]),
    () => editor?.state() ?? defaultState,
  )
  return [editor, state]
}

/** Pixels of every value, a moment after the last stroke. */
export function useCounts(
  editor: Editor | null,
  changes: number,
  isReady: boolean,
): Uint32Array | null {
  const [counts, setCounts] = useState<Uint32Array | null>(null)
  useEffect(() => {
    if (!editor || !isReady) return
    const timer = setTimeout(() => setCounts(countValues(editor.mask)), changes > 0 ? 250 : 0)
    return () => clearTimeout(timer)
  }, [editor, changes, isReady])
  return counts
}

/** Call `run` for every key, always the newest `run`. */
export function useKeys(run: (event: KeyboardEvent) => void): void {
  const newest = useRef(run)
  newest.current = run
  useEffect(() => {
    const listener = (event: KeyboardEvent) => newest.current(event)
    window.addEventListener('keydown', listener)
    return () => window.removeEventListener('keydown', listener)
  }, [])
}
