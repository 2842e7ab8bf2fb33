// The editor of one window: what the pointer and the keys do to the mask, and what is shown of it.
// Framework-free: a page gives it an element, reads `state()` and listens.

import { makePalette } from './colours'
import { type History, type Moved, makeHistory, type Turn } from './history'
import {
  blankMask,
  drawSegment,
  fillPolygon,
  floodFill,
  type Kind,
  type Mask,
  type Point,
} from './mask'
import type { Picture } from './png'
import { listen } from './pointer'
import { type Rect, union } from './rect'
import type { Action } from './shortcuts'
import { makeSketch } from './sketch'
import { makeStage } from './stage'
import { autoWindow, type Window } from './tone'
import { fit, pan, type Size, toImage, toScreen, type View, zoomAt } from './view'

export const UNKNOWN = 255

export type Tool = 'brush' | 'eraser' | 'polygon' | 'fill'

export interface EditorState {
  tool: Tool
  kind: Kind
  /** The class that tools give to pixels; 255 is unknown. */
  value: number
  /** What the eraser leaves: the background's number, or 255. */
  erased: number
  /** Brush diameter in image pixels, for each kind of label; 0 until an image gives it a size. */
  sizes: Readonly<Record<Kind, number>>
  pressure: boolean
  maskShown: boolean
  maskOpacity: number
  predictionShown: boolean
  predictionOpacity: number
  uncertaintyShown: boolean
  uncertaintyOpacity: number
  /** Blur the image's pixels into one another. */
  smooth: boolean
  window: Window
  zoom: number
  cursor: { y: number; x: number; stored: number[]; value: number } | null
  corners: number
  canUndo: boolean
  canRedo: boolean
  /** Drawing is not allowed: somebody else's item, or another slice is looked at. */
  isLocked: boolean
  isPeeking: boolean
  /** Changes since the item was opened; 0 is untouched. */
  changes: number
}

export interface Opened {
  picture: Picture
  window: Window
  kind: Kind
  /** Null starts from nothing. */
  mask: Uint8Array | null
  colours: ReadonlyMap<number, string>
  background: number | null
}

export interface Editor {
  state(): EditorState
  subscribe(listener: () => void): () => void
  open(opened: Opened): void
  set(change: Partial<Settable>): void
  setPrediction(values: Uint8Array | null): void
  setUncertainty(values: Uint8Array | null): void
  /** Replace the whole mask by one of this kind, as one step that can be undone. */
  replace(values: Uint8Array, kind: Kind): void
  startFromNothing(): void
  /** Give one value to all unknown pixels, as one step. */
  nameUnknown(value: number): void
  /** Look at another slice without changing the mask; null comes back. */
  peek(picture: Picture | null): void
  setDark(isDark: boolean): void
  /** Whether the wheel leads to neighbouring slices; else it zooms. */
  setSlices(hasSlices: boolean): void
  act(action: Action): boolean
  resetWindow(): void
  autoWindow(): void
  readonly mask: Mask
  /** Milliseconds of the latest brush moves: from the event to the repainted rectangle. */
  readonly moves: readonly number[]
  close(): void
}

export type Settable = Pick<
  EditorState,
  | 'tool'
  | 'kind'
  | 'value'
  | 'erased'
  | 'sizes'
  | 'pressure'
  | 'maskShown'
  | 'maskOpacity'
  | 'predictionShown'
  | 'predictionOpacity'
  | 'uncertaintyShown'
  | 'uncertaintyOpacity'
  | 'smooth'
  | 'window'
  | 'isLocked'
>

export interface Events {
  /** The mask changed and the stroke is over. */
  onChange?(): void
  /** The wheel asks for a neighbouring slice: -1 above, +1 below. */
  onSlice?(step: -1 | 1): void
}

const LARGEST_BRUSH = 400
const KEPT_MOVES = 2000
const HATCH_LIGHT = 0x8c303030
const HATCH_DARK = 0x8ce8e8e8

export const defaultState: EditorState = {
  tool: 'brush',
  kind: 'mask',
  value: 1,
  erased: UNKNOWN,
  sizes: { mask: 0, scribble: 0 },
  pressure: false,
  maskShown: true,
  maskOpacity: 0.5,
  predictionShown: false,
  predictionOpacity: 0.7,
  uncertaintyShown: false,
  uncertaintyOpacity: 0.6,
  smooth: true,
  window: { low: 0, high: 255 },
  zoom: 1,
  cursor: null,
  corners: 0,
  canUndo: false,
  canRedo: false,
  isLocked: true,
  isPeeking: false,
  changes: 0,
}

/** Build the editor inside an element, which it fills; `close()` takes it away again. */
export function makeEditor(host: HTMLElement, events: Events = {}): Editor {
  const screen = document.createElement('canvas')
  const overlay = document.createElement('canvas')
  screen.className = 'editor-screen'
  overlay.className = 'editor-overlay'
  overlay.tabIndex = 0
  overlay.setAttribute('role', 'application')
  overlay.setAttribute('aria-label', 'Image with mask; press ? for the keys')
  host.append(screen, overlay)

  const stage = makeStage(screen)
  const sketch = makeSketch(overlay)
  const listeners = new Set<() => void>()
  const moves: number[] = []
  let state = defaultState
  let mask: Mask = blankMask(1, 1, UNKNOWN)
  let history: History = makeHistory(mask)
  let picture: Picture | null = null
  let peeked: Picture | null = null
  let opened: Opened | null = null
  let view: View = { scale: 1, y: 0, x: 0 }
  let room: Size = { height: 1, width: 1 }
  let ratio = 1
  let isDark = false
  let hasSlices = false
  let isFitted = true
  let corners: Point[] = []
  let hover: Point | null = null
  /** The stroke in hand: where the brush is, and what it has touched. */
  let stroke: { at: Point; touched: Rect | null } | null = null
  let pending: Rect | null = null
  let spent = 0
  let frame = 0
  let isStale = false

  const update = (change: Partial<EditorState>) => {
    state = { ...state, ...change }
    for (const listener of listeners) listener()
  }

  const size = () => state.sizes[state.kind]
  const blankOf = (kind: Kind) => (kind === 'mask' ? (opened?.background ?? UNKNOWN) : UNKNOWN)
  const canDraw = () => !state.isLocked && !state.isPeeking && picture !== null

  // Painting happens once a frame, whatever came in meanwhile.
  const paint = () => {
    frame = 0
    const start = performance.now()
    if (isStale) stage.draw(view)
    else if (pending) stage.repaint(view, pending)
    isStale = false
    pending = null
    sketchNow()
    if (spent > 0) {
      moves.push(spent + performance.now() - start)
      if (moves.length > KEPT_MOVES) moves.shift()
      spent = 0
    }
  }
  const soon = () => {
    if (frame === 0) frame = requestAnimationFrame(paint)
  }
  const redraw = () => {
    isStale = true
    soon()
  }

  const sketchNow = () => {
    const isBrush = state.tool === 'brush' || state.tool === 'eraser'
    const shown = state.tool === 'eraser' ? state.erased : state.value
    sketch.draw({
      view,
      ratio,
      corners: corners.map((corner) => toScreen(view, corner)),
      colour: opened?.colours.get(shown) ?? '#ffffff',
      cursor: hover && canDraw() ? toScreen(view, hover) : null,
      radius: isBrush ? (Math.max(size(), 1.5) / 2) * view.scale : 0,
    })
  }

  const showMask = () => {
    if (!opened) return
    const isScribble = state.kind === 'scribble'
    const { background } = opened
    const clear = background === null || isScribble ? [UNKNOWN] : [UNKNOWN, background]
    const palette = makePalette({ colours: opened.colours, opacity: 0.62, clear })
    const hatch = isScribble ? 0 : isDark ? HATCH_DARK : HATCH_LIGHT
    stage.setMask(mask, palette, hatch)
    showOverlays()
  }

  const showOverlays = () => {
    stage.setMaskOpacity(Math.min(1, state.maskOpacity * 1.6))
    stage.setSmooth(state.smooth)
    stage.setOverlays({
      mask: state.maskShown && !state.isPeeking,
      prediction: state.predictionShown && !state.isPeeking ? state.predictionOpacity : 0,
      uncertainty: state.uncertaintyShown && !state.isPeeking ? state.uncertaintyOpacity : 0,
    })
    redraw()
  }

  const look = (next: View) => {
    view = next
    isFitted = false
    if (Math.abs(state.zoom - view.scale) > 1e-6) update({ zoom: view.scale })
    redraw()
  }

  /** The stroke is over: one step to undo, one draft to save. */
  const settle = (touched: Rect | null, turn: Turn | null = null) => {
    if (!touched) return
    history.note(touched, turn)
    changed()
  }
  const changed = () => {
    update({
      canUndo: history.canUndo,
      canRedo: history.canRedo,
      changes: state.changes + 1,
    })
    events.onChange?.()
  }

  const stepBack = (moved: Moved | null) => {
    if (!moved) return
    pending = union(pending, moved.rect)
    soon()
    if (moved.kind) turnInto(moved.kind)
    changed()
  }
  /** The mask is of this kind now, as it is drawn. */
  const turnInto = (kind: Kind) => {
    update({ kind, erased: blankOf(kind) })
    showMask()
  }

  const drawTo = (to: Point, pressure: number) => {
    if (!stroke) return
    const start = performance.now()
    const value = state.tool === 'eraser' ? state.erased : state.value
    const dirty = drawSegment(mask, stroke.at, to, size() * pressure, value)
    stroke.at = to
    stroke.touched = union(stroke.touched, dirty)
    pending = union(pending, dirty)
    spent += performance.now() - start
    soon()
  }

  const setCorners = (next: Point[]) => {
    corners = next
    if (state.corners !== next.length) update({ corners: next.length })
    soon()
  }

  const closePolygon = () => {
    const dirty = fillPolygon(mask, corners, state.value)
    setCorners([])
    if (!dirty) return
    pending = union(pending, dirty)
    soon()
    settle(dirty)
  }

  const pour = (at: Point) => {
    const dirty = floodFill(mask, at, state.value)
    if (!dirty) return
    pending = union(pending, dirty)
    soon()
    settle(dirty)
  }

  const tellCursor = (at: Point | null) => {
    const shown = peeked ?? picture
    if (!at || !shown) {
      if (state.cursor) update({ cursor: null })
      return
    }
    const [y, x] = [Math.floor(at.y), Math.floor(at.x)]
    if (y < 0 || x < 0 || y >= shown.height || x >= shown.width) {
      if (state.cursor) update({ cursor: null })
      return
    }
    if (state.cursor?.y === y && state.cursor.x === x) return
    const from = (y * shown.width + x) * shown.channels
    const stored = Array.from(shown.data.subarray(from, from + shown.channels))
    update({ cursor: { y, x, stored, value: mask.data[y * mask.width + x] } })
  }

  const hand = {
    canDraw,
    begin(at: Point, pressure: number) {
      const to = toImage(view, at)
      hover = to
      if (state.tool === 'fill') pour(to)
      else if (state.tool !== 'polygon') {
        stroke = { at: to, touched: null }
        drawTo(to, state.pressure ? pressure : 1)
      }
    },
    extend(at: Point, pressure: number) {
      hover = toImage(view, at)
      drawTo(hover, state.pressure ? pressure : 1)
    },
    end() {
      const touched = stroke?.touched ?? null
      stroke = null
      settle(touched)
    },
    /** Call the stroke in hand off: a second finger came down, or Escape. */
    cancel() {
      const touched = stroke?.touched ?? null
      stroke = null
      if (!touched) return
      history.revert(touched)
      pending = union(pending, touched)
      soon()
    },
    isPolygon: () => state.tool === 'polygon',
    corner(at: Point) {
      const first = corners.length > 2 ? toScreen(view, corners[0]) : null
      if (first && Math.hypot(first.y - at.y, first.x - at.x) < 9) closePolygon()
      else setCorners([...corners, toImage(view, at)])
    },
    lasso(at: Point) {
      hover = toImage(view, at)
      setCorners([...corners, hover])
    },
    closePolygon,
    hover(at: Point | null) {
      hover = at ? toImage(view, at) : null
      tellCursor(hover)
      soon()
    },
    pan(dy: number, dx: number) {
      if (picture) look(pan(view, dy, dx, picture, room))
    },
    zoom(factor: number, at: Point) {
      if (picture) look(zoomAt(view, factor, at, picture, room))
    },
    level(dy: number, dx: number) {
      const { low, high } = state.window
      const step = Math.max(1, high - low) / 250
      const centre = (low + high) / 2 + dy * step
      const half = Math.max(0.5, ((high - low) / 2) * 1.006 ** dx)
      setWindow({ low: centre - half, high: centre + half })
    },
    slice(step: -1 | 1) {
      events.onSlice?.(step)
    },
    hasSlices: () => hasSlices,
  }

  const setWindow = (window: Window) => {
    update({ window })
    windowIsStale = true
    if (windowFrame === 0) windowFrame = requestAnimationFrame(applyWindow)
  }
  let windowFrame = 0
  let windowIsStale = false
  const applyWindow = () => {
    windowFrame = 0
    if (!windowIsStale) return
    windowIsStale = false
    stage.setWindow(state.window)
    redraw()
  }

  const resize = () => {
    room = { height: host.clientHeight || 1, width: host.clientWidth || 1 }
    ratio = window.devicePixelRatio || 1
    stage.resize(room, ratio)
    sketch.resize(room, ratio)
    if (picture && isFitted) {
      view = fit(picture, room)
      update({ zoom: view.scale })
    }
    // A resized canvas is empty until it is drawn; do not wait for the next frame.
    isStale = true
    if (frame !== 0) cancelAnimationFrame(frame)
    paint()
  }
  const observer = new ResizeObserver(resize)
  observer.observe(host)
  const unlisten = listen(overlay, hand)

  const moveCursor = (dy: number, dx: number) => {
    if (!picture) return
    const from = hover ?? { y: picture.height / 2, x: picture.width / 2 }
    const to = {
      y: Math.min(picture.height - 0.5, Math.max(0.5, Math.floor(from.y + dy) + 0.5)),
      x: Math.min(picture.width - 0.5, Math.max(0.5, Math.floor(from.x + dx) + 0.5)),
    }
    hover = to
    if (stroke) drawTo(to, 1)
    tellCursor(to)
    soon()
  }

  /** X: pen down or up, a corner, a fill, at the cross that the arrow keys move. */
  const press = () => {
    if (!canDraw() || !picture) return
    if (!hover) moveCursor(0, 0)
    const at = toScreen(view, hover!)
    if (state.tool === 'polygon') hand.corner(at)
    else if (stroke) hand.end()
    else hand.begin(at, 1)
  }

  const grow = (factor: number) => {
    const now = size()
    const next = factor > 1 ? Math.max(now + 1, now * factor) : Math.min(now - 1, now * factor)
    const kept = Math.round(Math.min(LARGEST_BRUSH, Math.max(1, next)))
    editor.set({ sizes: { ...state.sizes, [state.kind]: kept } })
  }

  const middle = (): Point => ({ y: room.height / 2, x: room.width / 2 })

  const actions: Partial<Record<Action, () => void>> = {
    brush: () => editor.set({ tool: 'brush' }),
    eraser: () => editor.set({ tool: 'eraser' }),
    polygon: () => editor.set({ tool: 'polygon' }),
    fill: () => editor.set({ tool: 'fill' }),
    smaller: () => grow(0.85),
    larger: () => grow(1.18),
    unknown: () => editor.set({ value: UNKNOWN }),
    background: () => {
      if (opened?.background != null) editor.set({ value: opened.background })
    },
    undo: () => canDraw() && !stroke && stepBack(history.undo()),
    redo: () => canDraw() && !stroke && stepBack(history.redo()),
    close: () => canDraw() && closePolygon(),
    back: () => setCorners(corners.slice(0, -1)),
    escape: () => {
      hand.cancel()
      setCorners([])
      if (state.isPeeking) editor.peek(null)
    },
    cursorUp: () => moveCursor(-1, 0),
    cursorDown: () => moveCursor(1, 0),
    cursorLeft: () => moveCursor(0, -1),
    cursorRight: () => moveCursor(0, 1),
    cursorUpFar: () => moveCursor(-10, 0),
    cursorDownFar: () => moveCursor(10, 0),
    cursorLeftFar: () => moveCursor(0, -10),
    cursorRightFar: () => moveCursor(0, 10),
    press,
    zoomIn: () => hand.zoom(1.25, middle()),
    zoomOut: () => hand.zoom(0.8, middle()),
    fit: () => {
      if (!picture) return
      look(fit(picture, room))
      isFitted = true
    },
    actual: () => hand.zoom(1 / view.scale, middle()),
    panUp: () => hand.pan(60, 0),
    panDown: () => hand.pan(-60, 0),
    panLeft: () => hand.pan(0, 60),
    panRight: () => hand.pan(0, -60),
    sliceUp: () => hand.slice(-1),
    sliceDown: () => hand.slice(1),
    hide: () => editor.set({ maskShown: !state.maskShown }),
    prediction: () => editor.set({ predictionShown: !state.predictionShown }),
    uncertainty: () => editor.set({ uncertaintyShown: !state.uncertaintyShown }),
    smooth: () => editor.set({ smooth: !state.smooth }),
    windowReset: () => editor.resetWindow(),
    windowAuto: () => editor.autoWindow(),
  }

  const editor: Editor = {
    state: () => state,
    subscribe(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    open(given) {
      const { height, width } = given.picture
      opened = given
      picture = given.picture
      peeked = null
      corners = []
      stroke = null
      hover = null
      const blank = given.kind === 'mask' ? (given.background ?? UNKNOWN) : UNKNOWN
      mask = blankMask(height, width, blank)
      if (given.mask) mask.data.set(given.mask)
      history = makeHistory(mask)
      stage.setImage(picture, given.window)
      stage.setPrediction(null, given.colours)
      stage.setUncertainty(null)
      view = fit(picture, room)
      isFitted = true
      update({
        kind: given.kind,
        erased: blank,
        window: given.window,
        sizes: state.sizes.mask > 0 ? state.sizes : fittingSizes(given.picture),
        zoom: view.scale,
        cursor: null,
        corners: 0,
        canUndo: false,
        canRedo: false,
        isPeeking: false,
        changes: 0,
      })
      showMask()
    },
    set(change) {
      const before = state
      const isOther = change.kind !== undefined && change.kind !== state.kind
      if (change.tool && change.tool !== state.tool) {
        hand.cancel()
        setCorners([])
      }
      update(change)
      if (isOther) {
        const [was, blank] = [blankOf(before.kind), blankOf(state.kind)]
        update({ erased: blank })
        // Nothing is drawn, perhaps no longer: what is blank in one kind is blank in the other.
        if (was !== blank && mask.data.every((value) => value === was)) {
          mask.data.fill(blank)
          history.reset()
          if (state.changes > 0) changed()
        }
        showMask()
      }
      if (change.window) setWindow(change.window)
      if (
        before.maskOpacity !== state.maskOpacity ||
        before.maskShown !== state.maskShown ||
        before.smooth !== state.smooth ||
        before.predictionShown !== state.predictionShown ||
        before.predictionOpacity !== state.predictionOpacity ||
        before.uncertaintyShown !== state.uncertaintyShown ||
        before.uncertaintyOpacity !== state.uncertaintyOpacity
      ) {
        showOverlays()
      }
      soon()
    },
    setPrediction(values) {
      stage.setPrediction(values, predictionColours(opened))
      redraw()
    },
    setUncertainty(values) {
      stage.setUncertainty(values)
      redraw()
    },
    replace(values, kind) {
      if (!canDraw()) return
      mask.data.set(values)
      const whole = { y0: 0, x0: 0, y1: mask.height, x1: mask.width }
      pending = whole
      soon()
      const turn = kind === state.kind ? null : { from: state.kind, to: kind }
      if (turn) turnInto(kind)
      settle(whole, turn)
    },
    startFromNothing() {
      editor.replace(new Uint8Array(mask.data.length).fill(state.erased), state.kind)
    },
    nameUnknown(value) {
      const named = mask.data.map((old) => (old === UNKNOWN ? value : old))
      editor.replace(named, state.kind)
    },
    peek(given) {
      if (!picture) return
      peeked = given
      hand.cancel()
      stage.setImage(given ?? picture, state.window)
      update({ isPeeking: given !== null })
      showOverlays()
    },
    setDark(dark) {
      isDark = dark
      stage.setDark(dark)
      showMask()
      redraw()
    },
    setSlices(has) {
      hasSlices = has
    },
    act(action) {
      const run = actions[action]
      if (!run) return false
      run()
      return true
    },
    resetWindow() {
      if (opened) setWindow(opened.window)
    },
    autoWindow() {
      const shown = peeked ?? picture
      if (shown) setWindow(autoWindow(shown))
    },
    get mask() {
      return mask
    },
    moves,
    close() {
      observer.disconnect()
      unlisten()
      if (frame !== 0) cancelAnimationFrame(frame)
      if (windowFrame !== 0) cancelAnimationFrame(windowFrame)
      screen.remove()
      overlay.remove()
      listeners.clear()
    },
  }
  resize()
  return editor
}

/** A brush that suits the image: hippocampi have 35 pixels across, slides have thousands. */
const fittingSizes = ({ height, width }: Size): EditorState['sizes'] => ({
  mask: Math.min(60, Math.max(2, Math.round(Math.min(height, width) / 25))),
  scribble: Math.min(12, Math.max(1, Math.round(Math.min(height, width) / 120))),
})

/** The background of a prediction is left out: it would veil the whole image. */
function predictionColours(opened: Opened | null): ReadonlyMap<number, string> {
  const colours = new Map(opened?.colours)
  if (opened?.background != null) colours.delete(opened.background)
  return colours
}
