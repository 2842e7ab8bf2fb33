import { describe, expect, it } from 'vitest'
import { actionOf, digitOf, SHORTCUTS, showKey } from './shortcuts'

const press = (key: string, change: Partial<KeyboardEvent> = {}) => ({
  key,
  code: '',
  ctrlKey: false,
  metaKey: false,
  shiftKey: false,
  altKey: false,
  ...change,
})

describe('shortcuts', () => {
  it('gives no key two meanings and no action two rows', () => {
    const keys = SHORTCUTS.flatMap((shortcut) => shortcut.keys)
    expect(new Set(keys).size).toBe(keys.length)
    expect(new Set(SHORTCUTS.map((shortcut) => shortcut.action)).size).toBe(SHORTCUTS.length)
  })

  it('knows letters in either case, and modifiers', () => {
    expect(actionOf(press('b'))).toBe('brush')
    expect(actionOf(press('B', { shiftKey: true }))).toBe('flag')
    expect(actionOf(press('z', { ctrlKey: true }))).toBe('undo')
    expect(actionOf(press('z', { metaKey: true }))).toBe('undo')
    expect(actionOf(press('Z', { ctrlKey: true, shiftKey: true }))).toBe('redo')
    expect(actionOf(press('?', { shiftKey: true }))).toBe('help')
    expect(actionOf(press('+', { shiftKey: true }))).toBe('zoomIn')
    expect(actionOf(press('b', { altKey: true }))).toBeNull()
    expect(actionOf(press('b', { ctrlKey: true }))).toBeNull()
  })

  it('takes digits by their place on the keyboard', () => {
    expect(digitOf(press('&', { code: 'Digit1' }))).toBe('1')
    expect(digitOf(press('3', { code: 'Numpad3' }))).toBe('3')
    expect(digitOf(press('End', { code: 'Numpad1' }))).toBeNull()
    expect(digitOf(press('0', { code: 'Digit0' }))).toBeNull()
    expect(actionOf(press('0', { code: 'Digit0' }))).toBe('unknown')
    expect(digitOf(press('1', { code: 'Digit1', ctrlKey: true }))).toBeNull()
  })

  it('writes keys as people read them', () => {
    expect(showKey('Mod+Shift+z', false)).toEqual(['Ctrl', 'Shift', 'Z'])
    expect(showKey('Mod+Enter', true)).toEqual(['⌘', 'Enter'])
    expect(showKey('+', false)).toEqual(['+'])
  })
})
