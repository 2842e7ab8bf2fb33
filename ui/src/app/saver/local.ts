// Drafts on this computer, in IndexedDB: what was drawn survives the page, the server and the network.

import type { ProjectInfo } from '../../api'
import type { Draft } from '../client'

export interface LocalDraft extends Draft {
  /** Milliseconds since 1970. */
  at: number
}

export interface LocalDrafts {
  get(key: string): Promise<LocalDraft | null>
  put(key: string, draft: LocalDraft): Promise<void>
  remove(key: string): Promise<void>
}

/** Another project of the same name, as after it was made anew, has other keys. */
export function draftKey(
  { name, created }: Pick<ProjectInfo, 'name' | 'created'>,
  user: string,
  item: string,
): string {
  return JSON.stringify(created === null ? [name, user, item] : [name, created, user, item])
}

const STORE = 'drafts'

export function openDrafts(name = 'fewmasks'): LocalDrafts {
  let opening: Promise<IDBDatabase> | null = null
  const database = () => {
    opening ??= new Promise<IDBDatabase>((resolve, reject) => {
      const request = indexedDB.open(name, 1)
      request.onupgradeneeded = () => request.result.createObjectStore(STORE)
      request.onsuccess = () => resolve(request.result)
      request.onerror = () => reject(request.error)
    })
    return opening
  }
  const run = async <T>(
    mode: IDBTransactionMode,
    ask: (store: IDBObjectStore) => IDBRequest<T>,
  ): Promise<T> => {
    const transaction = (await database()).transaction(STORE, mode, { durability: 'strict' })
    const request = ask(transaction.objectStore(STORE))
    return new Promise((resolve, reject) => {
      transaction.oncomplete = () => resolve(request.result)
      transaction.onerror = () => reject(transaction.error)
      transaction.onabort = () => reject(transaction.error)
    })
  }
  return {
    get: async (key) => (await run<LocalDraft | undefined>('readonly', (s) => s.get(key))) ?? null,
    put: async (key, draft) => {
      await run('readwrite', (store) => store.put(draft, key))
    },
    remove: async (key) => {
      await run('readwrite', (store) => store.delete(key))
    },
  }
}
