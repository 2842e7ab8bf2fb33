// Writes src/messages.ts, the types of what the page sends and hears, from docs/openapi.json, which
// docs/make_openapi.py writes from the server. `--check` only says whether it is current.

import { readFile, writeFile } from 'node:fs/promises'
import { compile } from 'json-schema-to-typescript'

const DESCRIPTION = new URL('../docs/openapi.json', import.meta.url)
const TYPES = new URL('src/messages.ts', import.meta.url)
const BANNER = '// Written by `npm run types` from docs/openapi.json; do not edit by hand.'

/** Names of the schemas that something refers to, directly or through others. */
function named(part, schemas, found = new Set()) {
  for (const [, name] of JSON.stringify(part).matchAll(/#\/\$defs\/(\w+)/g)) {
    if (!found.has(name)) named(schemas[name], schemas, found.add(name))
  }
  return found
}

const text = (await readFile(DESCRIPTION, 'utf8'))
  .replaceAll('#/components/schemas/', '#/$defs/')
  .replaceAll('"prefixItems"', '"items"') // as older drafts of JSON Schema call it
const { paths, components } = JSON.parse(text)
const ours = Object.entries(paths).filter(([path]) => path.startsWith('/api/'))
const $defs = {}
for (const name of [...named(ours, components.schemas)].sort()) {
  $defs[name] = components.schemas[name]
  // The title of a field would become a type of its own.
  for (const field of Object.values($defs[name].properties ?? {})) delete field.title
}
const written = await compile({ $defs }, 'Root', {
  additionalProperties: false,
  bannerComment: '',
  unreachableDefinitions: true,
  style: { semi: false, singleQuote: true, printWidth: 100 },
})
const types = written
  .replace(/^export interface Root \{[^}]*\}\n/m, '')
  .replace(/\n \*\n \* This interface was referenced by `Root`[^/]*"\./g, '')
  .replace(/^\/\*\*\n \* ([^\n]*)\n \*\//gm, '\n/** $1 */')
const whole = `${BANNER}\n${types.trimEnd()}\n`

if (!process.argv.includes('--check')) {
  await writeFile(TYPES, whole)
} else if ((await readFile(TYPES, 'utf8').catch(() => '')) !== whole) {
  process.stderr.write('ui/src/messages.ts: is not current; run: npm --prefix ui run types\n')
  process.exit(1)
}
