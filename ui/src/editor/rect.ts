/** Half-open rectangles in pixels: y0 <= y < y1, x0 <= x < x1. */
export interface Rect {
  y0: number
  x0: number
  y1: number
  x1: number
}

export const isEmpty = (rect: Rect): boolean => rect.y1 <= rect.y0 || rect.x1 <= rect.x0

/** The smallest rectangle around both; either may be missing. */
export function union(a: Rect | null, b: Rect | null): Rect | null {
  if (!a || isEmpty(a)) return b && !isEmpty(b) ? b : null
  if (!b || isEmpty(b)) return a
  return {
    y0: Math.min(a.y0, b.y0),
    x0: Math.min(a.x0, b.x0),
    y1: Math.max(a.y1, b.y1),
    x1: Math.max(a.x1, b.x1),
  }
}

/** The part inside an image, null where nothing is left; `margin` pixels are added first. */
export function clip(rect: Rect, height: number, width: number, margin = 0): Rect | null {
  const cut = {
    y0: Math.max(0, rect.y0 - margin),
    x0: Math.max(0, rect.x0 - margin),
    y1: Math.min(height, rect.y1 + margin),
    x1: Math.min(width, rect.x1 + margin),
  }
  return isEmpty(cut) ? null : cut
}
