// What one person likes on one computer; nothing that a label depends on.

import { useSyncExternalStore } from 'react'

export interface Preferences {
  theme: 'system' | 'light' | 'dark'
  /** Single keys as shortcuts; speech input may press them by accident (WCAG 2.1.4). */
  singleKeys: boolean
  startFrom: 'nothing' | 'prediction'
  axis: 'items' | 'minutes'
}

const KEY = 'fewmasks'
const DEFAULTS: Preferences = {
  theme: 'system',
  singleKeys: true,
  startFrom: 'nothing',
  axis: 'minutes',
}

const listeners = new Set<() => void>()
let current: Preferences = read()

function read(): Preferences {
  try {
    return { ...DEFAULTS, ...JSON.parse(localStorage.getItem(KEY) ?? '{}') }
  } catch {
    return DEFAULTS // a private window, or not ours
  }
}

export const preferences = (): Preferences => current

export function prefer(change: Partial<Preferences>): void {
  current = { ...current, ...change }
  try {
    localStorage.setItem(KEY, JSON.stringify(current))
  } catch {
    // It holds for this visit.
  }
  for (const listener of listeners) listener()
}

const subscribe = (listener: () => void) => {
  listeners.add(listener)
  return () => listeners.delete(listener)
}

export const usePreferences = (): Preferences => useSyncExternalStore(subscribe, preferences)

const systemDark = () => window.matchMedia('(prefers-color-scheme: dark)')

const subscribeDark = (listener: () => void) => {
  const query = systemDark()
  query.addEventListener('change', listener)
  return () => query.removeEventListener('change', listener)
}

/** Whether the page is dark now, by choice or by the system. */
export function useIsDark(): boolean {
  const { theme } = usePreferences()
  const system = useSyncExternalStore(subscribeDark, () => systemDark().matches)
  return theme === 'system' ? system : theme === 'dark'
}

export function nextTheme(): Preferences['theme'] {
  const order = ['system', 'light', 'dark'] as const
  return order[(order.indexOf(current.theme) + 1) % order.length]
}
