// Shows an OpenAPI description. Builds elements only, never markup out of text.

const DEPTH = 4; // of objects inside objects; deeper ones are named only

function element(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

function resolve(api, schema) {
  if (!schema?.$ref) return schema ?? {};
  return schema.$ref.split("/").slice(1).reduce((place, key) => place[key], api);
}

function kindOf(api, schema) {
  if (schema.$ref) return schema.$ref.split("/").at(-1);
  const options = schema.anyOf ?? schema.oneOf;
  if (options) return options.map((option) => kindOf(api, option)).join(" or ");
  if (schema.type === "array") return `list of ${kindOf(api, schema.items ?? {})}`;
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" or ");
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  return [schema.type].flat().join(" or ") || "anything";
}

function objectIn(api, schema) {
  const found = resolve(api, schema);
  if (found.properties) return found;
  if (found.items) return objectIn(api, found.items);
  for (const option of found.anyOf ?? found.oneOf ?? []) {
    const inner = objectIn(api, option);
    if (inner) return inner;
  }
  return null;
}

function fieldsOf(api, schema, prefix = "", depth = 0) {
  const object = objectIn(api, schema);
  if (!object || depth > DEPTH) return [];
  return Object.entries(object.properties).flatMap(([name, field]) => [
    {
      name: prefix + name,
      kind: kindOf(api, field),
      required: (object.required ?? []).includes(name),
      words: field.description ?? resolve(api, field).description ?? "",
      example: field.examples?.[0] ?? field.default,
    },
    ...fieldsOf(api, field, `${prefix}${name}.`, depth + 1),
  ]);
}

function table(caption, rows) {
  if (!rows.length) return null;
  const body = rows.map((row) =>
    element("tr", {},
      element("td", {}, element("code", {}, row.name), row.required ? " *" : ""),
      element("td", { class: "quiet" }, row.kind),
      element("td", {}, row.words,
        row.example === undefined || row.example === null
          ? null
          : element("div", { class: "quiet" }, "such as ", element("code", {}, JSON.stringify(row.example))))));
  return element("div", {}, element("h4", {}, caption), element("table", {}, element("tbody", {}, ...body)));
}

function example(api, method, path, body) {
  const [type, content] = Object.entries(body?.content ?? {})[0] ?? [];
  const lines = [`curl -s ${method === "get" ? "" : `-X ${method.toUpperCase()} `}${location.origin}${path}`];
  if (type === "application/json") {
    const rows = fieldsOf(api, content.schema).filter((row) => row.required && !row.name.includes("."));
    const values = Object.fromEntries(rows.map((row) => [row.name, row.example ?? ""]));
    lines.push(`-H 'content-type: application/json'`, `-d '${JSON.stringify(values)}'`);
  }
  return element("pre", {}, lines.join(" \\\n  "));
}

function route(api, path, method, operation) {
  const body = operation.requestBody;
  const parameters = (operation.parameters ?? []).map((each) => ({
    name: each.name,
    kind: `${each.in}, ${kindOf(api, each.schema ?? {})}`,
    required: each.required,
    words: each.description ?? "",
    example: each.example ?? each.schema?.examples?.[0],
  }));
  const answers = Object.entries(operation.responses ?? {}).map(([status, answer]) => ({
    name: status, kind: "", required: false, words: answer.description ?? "",
  }));
  const ok = operation.responses?.["200"]?.content ?? {};
  return element("details", {},
    element("summary", {}, element("span", { class: "method" }, method.toUpperCase()), " ",
      element("code", {}, path), " ", operation.summary ?? ""),
    element("p", {}, operation.description ?? ""),
    table("Parameters", parameters),
    ...Object.entries(body?.content ?? {}).map(([type, each]) => table(`Body, ${type}`, fieldsOf(api, each.schema))),
    ...Object.entries(ok).map(([type, each]) => table(`Answer, ${type}`, fieldsOf(api, each.schema))),
    table("Status", answers),
    example(api, method, path, body));
}

async function show() {
  const main = document.getElementById("routes");
  const answer = await fetch("openapi.json");
  const api = await answer.json();
  document.getElementById("title").textContent = `${api.info.title} ${api.info.version}`;
  document.getElementById("summary").textContent = api.info.description ?? "";
  const groups = new Map();
  for (const [path, operations] of Object.entries(api.paths)) {
    for (const [method, operation] of Object.entries(operations)) {
      const group = operation.tags?.[0] ?? "more";
      if (!groups.has(group)) groups.set(group, [element("h2", {}, group)]);
      groups.get(group).push(route(api, path, method, operation));
    }
  }
  main.replaceChildren(...[...groups.values()].flat());
  main.removeAttribute("aria-busy");
}

show();
