// Every key of the labelling page, in one table: the page obeys it and the help shows it.

export type Action =
  | 'brush'
  | 'eraser'
  | 'polygon'
  | 'fill'
  | 'smaller'
  | 'larger'
  | 'unknown'
  | 'background'
  | 'kind'
  | 'undo'
  | 'redo'
  | 'close'
  | 'escape'
  | 'back'
  | 'cursorUp'
  | 'cursorDown'
  | 'cursorLeft'
  | 'cursorRight'
  | 'cursorUpFar'
  | 'cursorDownFar'
  | 'cursorLeftFar'
  | 'cursorRightFar'
  | 'press'
  | 'zoomIn'
  | 'zoomOut'
  | 'fit'
  | 'actual'
  | 'panUp'
  | 'panDown'
  | 'panLeft'
  | 'panRight'
  | 'sliceUp'
  | 'sliceDown'
  | 'hide'
  | 'prediction'
  | 'uncertainty'
  | 'smooth'
  | 'windowReset'
  | 'windowAuto'
  | 'startPrediction'
  | 'startNothing'
  | 'accept'
  | 'skip'
  | 'flag'
  | 'comment'
  | 'queue'
  | 'dashboard'
  | 'theme'
  | 'help'

export interface Shortcut {
  action: Action
  keys: readonly string[]
  text: string
  group: 'Draw' | 'See' | 'Without a mouse' | 'Answer' | 'Page'
}

export const SHORTCUTS: readonly Shortcut[] = [
  { action: 'brush', keys: ['b'], text: 'Brush', group: 'Draw' },
  { action: 'eraser', keys: ['e'], text: 'Eraser', group: 'Draw' },
  { action: 'polygon', keys: ['p'], text: 'Polygon (click) or lasso (drag)', group: 'Draw' },
  { action: 'fill', keys: ['g'], text: 'Fill a region', group: 'Draw' },
  { action: 'smaller', keys: ['[', ','], text: 'Smaller brush', group: 'Draw' },
  { action: 'larger', keys: [']', '.'], text: 'Larger brush', group: 'Draw' },
  { action: 'unknown', keys: ['0', '`'], text: 'Class “unknown”', group: 'Draw' },
  { action: 'background', keys: ['n'], text: 'Class “background”', group: 'Draw' },
  { action: 'kind', keys: ['m'], text: 'Mask or scribble', group: 'Draw' },
  { action: 'undo', keys: ['Mod+z'], text: 'Undo', group: 'Draw' },
  { action: 'redo', keys: ['Mod+Shift+z', 'Mod+y'], text: 'Redo', group: 'Draw' },
  { action: 'close', keys: ['Enter'], text: 'Close the polygon', group: 'Draw' },
  { action: 'back', keys: ['Backspace'], text: 'Take back a corner', group: 'Draw' },
  { action: 'escape', keys: ['Escape'], text: 'Call off; back to the own slice', group: 'Draw' },
  {
    action: 'startPrediction',
    keys: ['Shift+p'],
    text: 'Start from the prediction',
    group: 'Draw',
  },
  { action: 'startNothing', keys: ['Shift+n'], text: 'Start from nothing', group: 'Draw' },
  { action: 'zoomIn', keys: ['+', '='], text: 'Zoom in', group: 'See' },
  { action: 'zoomOut', keys: ['-'], text: 'Zoom out', group: 'See' },
  { action: 'fit', keys: ['f', 'Home'], text: 'Fit the image', group: 'See' },
  { action: 'actual', keys: ['Shift+f'], text: 'One image pixel a screen pixel', group: 'See' },
  { action: 'sliceUp', keys: ['PageUp'], text: 'Look at the slice above', group: 'See' },
  { action: 'sliceDown', keys: ['PageDown'], text: 'Look at the slice below', group: 'See' },
  { action: 'hide', keys: ['h'], text: 'Hide or show the mask', group: 'See' },
  { action: 'prediction', keys: ['j'], text: 'Prediction overlay', group: 'See' },
  { action: 'uncertainty', keys: ['u'], text: 'Uncertainty overlay', group: 'See' },
  { action: 'smooth', keys: ['i'], text: 'Smooth image or pixels', group: 'See' },
  { action: 'windowReset', keys: ['w'], text: 'Window and level as stored', group: 'See' },
  { action: 'windowAuto', keys: ['Shift+w'], text: 'Window and level of this image', group: 'See' },
  { action: 'cursorUp', keys: ['ArrowUp'], text: 'Move the cross', group: 'Without a mouse' },
  { action: 'cursorDown', keys: ['ArrowDown'], text: '… down', group: 'Without a mouse' },
  { action: 'cursorLeft', keys: ['ArrowLeft'], text: '… left', group: 'Without a mouse' },
  { action: 'cursorRight', keys: ['ArrowRight'], text: '… right', group: 'Without a mouse' },
  {
    action: 'cursorUpFar',
    keys: ['Shift+ArrowUp'],
    text: 'Move it by ten pixels',
    group: 'Without a mouse',
  },
  { action: 'cursorDownFar', keys: ['Shift+ArrowDown'], text: '… down', group: 'Without a mouse' },
  { action: 'cursorLeftFar', keys: ['Shift+ArrowLeft'], text: '… left', group: 'Without a mouse' },
  {
    action: 'cursorRightFar',
    keys: ['Shift+ArrowRight'],
    text: '… right',
    group: 'Without a mouse',
  },
  {
    action: 'press',
    keys: ['x'],
    text: 'Pen down or up; corner; fill at the cross',
    group: 'Without a mouse',
  },
  { action: 'panUp', keys: ['Mod+ArrowUp'], text: 'Move the view', group: 'Without a mouse' },
  { action: 'panDown', keys: ['Mod+ArrowDown'], text: '… down', group: 'Without a mouse' },
  { action: 'panLeft', keys: ['Mod+ArrowLeft'], text: '… left', group: 'Without a mouse' },
  { action: 'panRight', keys: ['Mod+ArrowRight'], text: '… right', group: 'Without a mouse' },
  { action: 'accept', keys: ['Mod+Enter'], text: 'Accept and go on', group: 'Answer' },
  { action: 'skip', keys: ['Shift+s'], text: 'Skip', group: 'Answer' },
  { action: 'flag', keys: ['Shift+b'], text: 'Flag as a bad image', group: 'Answer' },
  { action: 'comment', keys: ['c'], text: 'Comment', group: 'Answer' },
  { action: 'queue', keys: ['q'], text: 'Queue', group: 'Page' },
  { action: 'dashboard', keys: ['d'], text: 'Progress', group: 'Page' },
  { action: 'theme', keys: ['t'], text: 'Light, dark or as the system', group: 'Page' },
  { action: 'help', keys: ['?'], text: 'This list', group: 'Page' },
]

type Key = Pick<KeyboardEvent, 'key' | 'code' | 'ctrlKey' | 'metaKey' | 'shiftKey' | 'altKey'>

const BY_KEY = new Map(SHORTCUTS.flatMap(({ action, keys }) => keys.map((key) => [key, action])))

/** Letters with their modifiers, digits by their place (French keyboards shift them). */
export function nameOf(event: Key): string {
  const digit = /^Digit(\d)$/.exec(event.code) ?? /^(\d)$/.exec(event.key)
  const mod = event.ctrlKey || event.metaKey ? 'Mod+' : ''
  if (digit) return mod + digit[1]
  const isNamed = event.key.length > 1
  const isLetter = /^\p{L}$/u.test(event.key)
  const shift = event.shiftKey && (isNamed || isLetter) ? 'Shift+' : ''
  return mod + shift + (isLetter ? event.key.toLowerCase() : event.key)
}

export function actionOf(event: Key): Action | null {
  return event.altKey ? null : ((BY_KEY.get(nameOf(event)) as Action | undefined) ?? null)
}

/** The class key 1 to 9, null for any other. */
export function digitOf(event: Key): string | null {
  const name = nameOf(event)
  return !event.altKey && /^[1-9]$/.test(name) ? name : null
}

/** Keys as people read them. */
export function showKey(key: string, isMac: boolean): string[] {
  const words: Record<string, string> = {
    Mod: isMac ? '⌘' : 'Ctrl',
    Shift: isMac ? '⇧' : 'Shift',
    ArrowUp: '↑',
    ArrowDown: '↓',
    ArrowLeft: '←',
    ArrowRight: '→',
    PageUp: 'Page ↑',
    PageDown: 'Page ↓',
    Escape: 'Esc',
    Backspace: '⌫',
  }
  const parts = key === '+' ? ['+'] : key.split('+')
  return parts.map((part) => words[part] ?? (/^[a-z]$/.test(part) ? part.toUpperCase() : part))
}
