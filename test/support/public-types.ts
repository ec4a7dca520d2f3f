/**
 * What an entry's signatures name: every type of the package that a reader of a declaration would want to
 * name, too, must be exported beside it.
 */
import ts from 'typescript'

/**
 * @param entry a declaration file
 * @param home the folder of declarations whose types count
 * @returns "Owner names Type" for each type that is named and not exported
 */
export function unexportedTypes(program: ts.Program, entry: string, home: string): string[] {
  const checker = program.getTypeChecker()
  const file = program.getSourceFile(entry)
  const module = file && checker.getSymbolAtLocation(file)
  if (module === undefined) throw new Error(`${entry} is no module`)
  const exported = new Set(checker.getExportsOfModule(module).map(target))
  const missing = new Set<string>()

  function target(symbol: ts.Symbol): ts.Symbol {
    return (symbol.flags & ts.SymbolFlags.Alias) === 0 ? symbol : checker.getAliasedSymbol(symbol)
  }

  function visit(node: ts.Node, owner: string): void {
    const name = nameIn(node)
    const found = name && checker.getSymbolAtLocation(name)
    if (found !== undefined) check(target(found), owner)
    node.forEachChild((child) => visit(child, owner))
  }

  function check(symbol: ts.Symbol, owner: string): void {
    if ((symbol.flags & ts.SymbolFlags.TypeParameter) !== 0 || exported.has(symbol)) return
    const places = symbol.declarations?.map((node) => node.getSourceFile().fileName) ?? []
    if (places.some((place) => place.startsWith(home))) missing.add(`${owner} names ${symbol.name}`)
  }

  for (const symbol of exported) {
    for (const declaration of symbol.declarations ?? []) visit(declaration, symbol.name)
  }
  return [...missing].sort()
}

/** The name by which a node refers to a type, if it does. */
function nameIn(node: ts.Node): ts.Node | undefined {
  if (ts.isTypeReferenceNode(node)) return node.typeName
  if (ts.isExpressionWithTypeArguments(node)) return node.expression
  return ts.isImportTypeNode(node) ? (node.qualifier ?? node.argument) : undefined
}
