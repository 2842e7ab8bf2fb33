// Mouse, pen, fingers and wheel, told apart and turned into what the editor understands.

import type { Point } from './mask'

export interface Hand {
  canDraw(): boolean
  begin(at: Point, pressure: number): void
  extend(at: Point, pressure: number): void
  end(): void
  cancel(): void
  isPolygon(): boolean
  corner(at: Point): void
  lasso(at: Point): void
  closePolygon(): void
  hover(at: Point | null): void
  pan(dy: number, dx: number): void
  zoom(factor: number, at: Point): void
  level(dy: number, dx: number): void
  slice(step: -1 | 1): void
  hasSlices(): boolean
}

type Doing = 'draw' | 'corner' | 'lasso' | 'pan' | 'level' | 'pinch'

const SLICE_STEP = 40
const LASSO_FROM = 5

/** Listen on an element until the returned function is called. Points are CSS pixels within it. */
export function listen(element: HTMLElement, hand: Hand): () => void {
  const stop = new AbortController()
  const on = <K extends keyof HTMLElementEventMap>(
    name: K,
    run: (event: HTMLElementEventMap[K]) => void,
  ) => element.addEventListener(name, run, { signal: stop.signal, passive: false })

  const fingers = new Map<number, Point>()
  let doing: Doing | null = null
  let pointer = -1
  let last: Point = { y: 0, x: 0 }
  let start: Point = { y: 0, x: 0 }
  let isSpaceDown = false
  // Once a pen was seen, fingers move the image and a palm draws nothing.
  let penSeen = false
  let wheel = 0

  const place = (event: MouseEvent): Point => {
    const box = element.getBoundingClientRect()
    return { y: event.clientY - box.top, x: event.clientX - box.left }
  }
  const pressureOf = (event: PointerEvent) =>
    event.pointerType === 'pen' ? 0.4 + 0.6 * event.pressure : 1

  const choose = (event: PointerEvent): Doing => {
    if (event.button === 2) return 'level'
    if (event.button === 1 || isSpaceDown || !hand.canDraw()) return 'pan'
    if (event.pointerType === 'touch' && penSeen) return 'pan'
    return hand.isPolygon() ? 'corner' : 'draw'
  }

  on('pointerdown', (event) => {
    element.focus({ preventScroll: true })
    const at = place(event)
    if (event.pointerType === 'pen') penSeen = true
    if (event.pointerType === 'touch') {
      fingers.set(event.pointerId, at)
      if (doing !== null && doing !== 'pan' && fingers.size === 1) return // the palm beside the pen
      if (fingers.size === 2) {
        if (doing === 'draw') hand.cancel()
        doing = 'pinch'
        return
      }
    }
    if (doing !== null) return
    event.preventDefault()
    element.setPointerCapture(event.pointerId)
    doing = choose(event)
    pointer = event.pointerId
    last = at
    start = at
    if (doing === 'draw') hand.begin(at, pressureOf(event))
    element.classList.toggle('is-panning', doing === 'pan')
  })

  on('pointermove', (event) => {
    const at = place(event)
    if (doing === 'pinch' && fingers.has(event.pointerId)) {
      pinch(event.pointerId, at)
      return
    }
    if (fingers.has(event.pointerId)) fingers.set(event.pointerId, at)
    if (doing === null) {
      if (event.pointerType !== 'touch') hand.hover(at)
      return
    }
    if (event.pointerId !== pointer) return
    if (doing === 'draw') {
      const points = event.getCoalescedEvents?.() ?? []
      for (const each of points.length > 0 ? points : [event]) {
        hand.extend(place(each), pressureOf(each))
      }
    } else if (doing === 'pan') hand.pan(at.y - last.y, at.x - last.x)
    else if (doing === 'level') hand.level(at.y - last.y, at.x - last.x)
    else if (Math.hypot(at.y - start.y, at.x - start.x) > LASSO_FROM || doing === 'lasso') {
      if (doing !== 'lasso') hand.lasso(start)
      doing = 'lasso'
      hand.lasso(at)
    }
    last = at
    if (event.pointerType !== 'touch' && doing !== 'level') hand.hover(at)
  })

  const pinch = (id: number, at: Point) => {
    const other = [...fingers].find(([key]) => key !== id)?.[1]
    const before = fingers.get(id)
    fingers.set(id, at)
    if (!other || !before) return
    const gap = (a: Point) => Math.max(8, Math.hypot(a.y - other.y, a.x - other.x))
    hand.pan((at.y - before.y) / 2, (at.x - before.x) / 2)
    hand.zoom(gap(at) / gap(before), { y: (at.y + other.y) / 2, x: (at.x + other.x) / 2 })
  }

  const finish = (event: PointerEvent, isCancelled: boolean) => {
    fingers.delete(event.pointerId)
    if (doing === 'pinch') {
      if (fingers.size === 0) doing = null
      return
    }
    if (event.pointerId !== pointer || doing === null) return
    if (doing === 'draw') isCancelled ? hand.cancel() : hand.end()
    else if (doing === 'corner' && !isCancelled) hand.corner(start)
    else if (doing === 'lasso') hand.closePolygon()
    doing = null
    pointer = -1
    element.classList.remove('is-panning')
    if (event.pointerType === 'touch') hand.hover(null)
  }
  on('pointerup', (event) => finish(event, false))
  on('pointercancel', (event) => finish(event, true))
  on('pointerleave', () => {
    if (doing === null) hand.hover(null)
  })
  on('dblclick', () => {
    if (hand.isPolygon() && hand.canDraw()) hand.closePolygon()
  })
  on('contextmenu', (event) => event.preventDefault())

  on('wheel', (event) => {
    event.preventDefault()
    const lines = event.deltaMode === 1 ? 16 : 1
    if (event.ctrlKey || event.metaKey || !hand.hasSlices()) {
      hand.zoom(Math.exp((-event.deltaY * lines) / (event.ctrlKey ? 250 : 500)), place(event))
      return
    }
    if (event.shiftKey) {
      hand.pan(0, -event.deltaY * lines)
      return
    }
    // A notch is one slice; a touch pad's small steps add up to one.
    if (Math.sign(event.deltaY) !== Math.sign(wheel)) wheel = 0
    wheel += event.deltaY * lines
    if (Math.abs(wheel) >= SLICE_STEP) {
      hand.slice(wheel < 0 ? -1 : 1)
      wheel = 0
    }
  })

  const space = (event: KeyboardEvent) => {
    if (event.code !== 'Space') return
    const isHere = event.target === element || event.target === document.body
    if (event.type === 'keydown' && isHere) event.preventDefault()
    isSpaceDown = event.type === 'keydown' && isHere
    element.classList.toggle('can-pan', isSpaceDown)
  }
  window.addEventListener('keydown', space, { signal: stop.signal })
  window.addEventListener('keyup', space, { signal: stop.signal })
  window.addEventListener(
    'blur',
    () => {
      isSpaceDown = false
    },
    { signal: stop.signal },
  )
  return () => stop.abort()
}
