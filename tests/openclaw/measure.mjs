// Prints the table of outages: `node measure.mjs [alone|pair] [MODE]...`, all of them by default.
import { Outages, complaints, heads, line, modes } from './outages.mjs'

const words = process.argv.slice(2)
const kinds = ['alone', 'pair'].filter((kind) => words.includes(kind) || !['alone', 'pair'].some((any) => words.includes(any)))
const named = modes.filter((mode) => words.includes(mode.id))
const chosen = named.length > 0 ? named : modes
const unknown = words.filter((word) => !['alone', 'pair'].includes(word) && !modes.some((mode) => mode.id === word))
if (unknown.length > 0) {
  console.error(`There is no outage ${unknown.join(', ')}; there are ${modes.map((mode) => mode.id).join(', ')}.`)
  process.exit(2)
}

const outages = await Outages.start(chosen)
const rows = []
try {
  console.log(heads.join('\n'))
  for (const kind of kinds) {
    for (const mode of chosen) {
      const row = await outages.measure(mode, kind)
      rows.push({ row, mode, broken: complaints(row, mode) })
      console.log(line(row, mode))
      if (process.env.DETAILS) console.error(JSON.stringify(row))
      // A provider that stays blocked would spoil all that follows.
      if (row.nextBy === 'nobody') await outages.startAfresh(chosen)
    }
  }
} finally {
  await outages.stop()
}
console.log()
for (const { row, broken } of rows) if (broken.length > 0) console.log(`${row.mode} (${row.kind}): ${broken.join('; ')}`)
console.log(`${rows.filter(({ broken }) => broken.length === 0).length} of ${rows.length} outages went by without harm`)
