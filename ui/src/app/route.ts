// Which page is shown, from the part of the address after #: reload and back work, and the server
// needs no routes of its own.

import { useSyncExternalStore } from 'react'

export type Route =
  | { page: 'queue' }
  | { page: 'dashboard' }
  | { page: 'disputes' }
  | { page: 'item'; id: string }

export function parseRoute(hash: string): Route {
  const [page, id] = hash.replace(/^#\/?/, '').split('/')
  if (page === 'item' && id) {
    try {
      return { page: 'item', id: decodeURIComponent(id) }
    } catch {
      return { page: 'queue' } // half a percent sign, typed by hand
    }
  }
  return page === 'dashboard' || page === 'disputes' ? { page } : { page: 'queue' }
}

export const linkTo = (route: Route): string =>
  route.page === 'item' ? `#/item/${encodeURIComponent(route.id)}` : `#/${route.page}`

export const goTo = (route: Route): void => {
  window.location.hash = linkTo(route)
}

const subscribe = (listener: () => void) => {
  window.addEventListener('hashchange', listener)
  return () => window.removeEventListener('hashchange', listener)
}

export function useRoute(): Route {
  return parseRoute(useSyncExternalStore(subscribe, () => window.location.hash))
}
