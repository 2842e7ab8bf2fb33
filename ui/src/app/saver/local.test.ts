import { describe, expect, it } from 'vitest'
import { draftKey } from './local'

describe('draftKey', () => {
  it('differs between projects of one name, people and items', () => {
    const heart = { name: 'heart', created: '2026-01-31T09:10:00.000Z' }
    const anew = { name: 'heart', created: '2026-02-01T09:10:00.000Z' }
    const older = { name: 'heart', created: null }
    const keys = [heart, anew, older].flatMap((project) =>
      ['anna', 'ben'].flatMap((user) => ['a', 'b'].map((item) => draftKey(project, user, item))),
    )
    expect(new Set(keys).size).toBe(12)
    expect(draftKey(heart, 'anna', 'a')).toBe(draftKey({ ...heart }, 'anna', 'a'))
  })
})
