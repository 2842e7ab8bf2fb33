import { defineConfig } from 'vitest/config'

declare const process: { env: Record<string, string | undefined> }

const server = process.env.FEWMASKS_SERVER ?? 'http://127.0.0.1:8000'

export default defineConfig({
  // Relative addresses, so that the page also works behind a proxy with a prefix.
  base: './',
  build: {
    outDir: '../src/fewmasks/server/static',
    emptyOutDir: true,
    target: 'es2022',
    cssTarget: ['chrome123', 'firefox120', 'safari17.5'],
    modulePreload: { polyfill: false },
    // A file of its own for everything: the page's content policy allows no data: addresses.
    assetsInlineLimit: 0,
    // Plotly, which comes with the first chart; and the terms of all that the page is built from.
    chunkSizeWarningLimit: 1300,
    license: { fileName: 'licenses.md' },
  },
  worker: { format: 'es' },
  // The server compares Host and Origin, and its cookie belongs to this address at any port.
  server: { host: '127.0.0.1', proxy: { '/api': { target: server, changeOrigin: false } } },
  test: {
    environment: 'node',
    include: ['src/**/*.test.{ts,tsx}'],
    benchmark: { include: ['src/**/*.bench.ts'] },
    restoreMocks: true,
  },
})
