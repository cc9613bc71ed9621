// Finds the place of a planted bug in the syntax of the product, so that neither formatting nor moving code to another file matters.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { parseSync } from 'oxc-parser';

/**
 * One change of a planted bug: `{ folder, place, find, replace }`.
 *
 * - `folder`: a workspace, such as `edge-agent`; its `src` is searched.
 * - `place`: the function, class, member (`Outbox.take`, `Outbox.#next`) or constant that holds it; absent: anywhere in the folder.
 * - `find`: an expression, statements that follow one another, or a property of an object; it must be there once. Spaces, line breaks,
 *   comments, parentheses and trailing commas do not count.
 * - `replace`: what is put there; `$&` is what was found.
 *
 * @param root folder of the repository.
 * @returns the file and its new text.
 * @throws Error if the place is not there, or there is more than one.
 */
export function planted(root, { folder, place, find, replace }, textOf = (file) => readFileSync(file, 'utf8')) {
  const wanted = readings(find);
  const where = `${folder}${place === undefined ? '' : `, ${place}`}`;
  if (wanted.length === 0) throw new Error(`a planted bug of ${where} looks for what is no code:\n${find}`);
  const words = [...(place?.split('.') ?? []), ...(find.match(/[#\w]{3,}/g) ?? [])];
  const found = [];
  for (const file of sourceFiles(join(root, folder, 'src'))) {
    const text = textOf(file);
    if (!words.every((word) => text.includes(word))) continue;
    const program = programOf(file, text);
    const within = place === undefined ? [program] : placesOf(program, place);
    for (const node of within) for (const range of matches(node, wanted)) found.push({ file, text, ...range });
  }
  if (found.length !== 1)
    throw new Error(
      `${where}: ${found.length} places instead of one that read\n${find}\nSay in the list of planted bugs where it is now`,
    );
  const [{ file, text, start, end }] = found;
  const changed = text.slice(0, start) + replace.replaceAll('$&', () => text.slice(start, end)) + text.slice(end);
  programOf(file, changed);
  return { file, text: changed };
}

const sourceFiles = (folder) =>
  readdirSync(folder, { recursive: true })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => join(folder, name));

const parsed = new Map();

function programOf(file, text) {
  const known = parsed.get(file);
  if (known?.text === text) return known.program;
  const { program, errors } = parseSync(file, text, { preserveParens: false });
  if (errors.length > 0) throw new Error(`${file} is no TypeScript with the bug: ${errors[0].message}`);
  parsed.set(file, { text, program });
  return program;
}

/** What a piece of code can be: statements if it ends with a semicolon, an expression or properties if it does not, any with a brace. */
function readings(code) {
  const [last] = code.trim().slice(-1);
  const wrapped = [
    [`class A { async *a() { for (;;) { ${code} } } }`, (body) => body[0].body.body[0].value.body.body[0].body.body],
    [`class A { async *a() { return (${code}\n); } }`, (body) => [body[0].body.body[0].value.body.body[0].argument]],
    [
      `class A { async *a() { return ({ ${code} }); } }`,
      (body) => body[0].body.body[0].value.body.body[0].argument.properties,
    ],
  ];
  return wrapped.slice(last === ';' || last === '}' ? 0 : 1, last === ';' ? 1 : 3).flatMap(([text, pick]) => {
    const { program, errors } = parseSync('a.ts', text, { preserveParens: false });
    // Names that only the class around the place declares are no error of the syntax.
    if (errors.some(({ message }) => !/Private (?:field|identifier)|private name/i.test(message))) return [];
    const nodes = pick(program.body);
    return nodes.length === 0 ? [] : [nodes.map((node) => ({ type: node.type, text: shape(node) }))];
  });
}

/** Where these nodes stand in a row below a node. */
function* matches(node, wanted) {
  for (const list of listsBelow(node)) {
    for (const nodes of wanted) {
      for (let at = 0; at + nodes.length <= list.length; at++) {
        if (nodes.every(({ type, text }, index) => list[at + index]?.type === type && shape(list[at + index]) === text))
          yield { start: list[at].start, end: list[at + nodes.length - 1].end };
      }
    }
  }
}

/** Every node below one, with those that stand in a row together. */
function* listsBelow(node) {
  for (const [key, value] of Object.entries(node)) {
    if (IGNORED.has(key)) continue;
    const list = Array.isArray(value) ? value : isNode(value) ? [value] : [];
    if (list.length > 0) yield list;
    for (const one of list) if (isNode(one)) yield* listsBelow(one);
  }
}

const isNode = (value) => typeof value === 'object' && value !== null && typeof value.type === 'string';

/** Where a node stands, and how its values were written. */
const IGNORED = new Set(['start', 'end', 'range', 'loc', 'raw', 'parent']);

/** What a node says, as a text that is equal for equal code. */
const shape = (node) => JSON.stringify(node, (key, value) => (IGNORED.has(key) ? undefined : plain(value)));

const plain = (value) => (typeof value === 'bigint' ? `${value}n` : value instanceof RegExp ? String(value) : value);

/** The nodes of this name: `name` or `Class.member`. */
function placesOf(program, place) {
  const found = [];
  const visit = (node, owner) => {
    const name = nameOf(node);
    if (name === place || (owner !== undefined && `${owner}.${name}` === place)) found.push(node);
    const next = node.type === 'ClassDeclaration' ? node.id?.name : owner;
    for (const list of childrenOf(node)) visit(list, next);
  };
  visit(program, undefined);
  return found.filter(
    (node) => !found.some((other) => other !== node && other.start <= node.start && node.end <= other.end),
  );
}

function nameOf(node) {
  switch (node.type) {
    case 'FunctionDeclaration':
    case 'ClassDeclaration':
    case 'VariableDeclarator':
      return node.id?.name;
    case 'MethodDefinition':
    case 'PropertyDefinition':
      return node.key.type === 'PrivateIdentifier' ? `#${node.key.name}` : node.key.name;
    default:
      return undefined;
  }
}

const childrenOf = (node) =>
  Object.entries(node).flatMap(([key, value]) => (IGNORED.has(key) ? [] : [value].flat().filter(isNode)));
