// Rows to import, for who has no file at hand.

// generate returns n rows of CSV with a header, all of them good but each
// 997th, whose address is none: an import that refuses nothing shows less. The
// short names begin with `tag`, so that two imports don't meet.
export function generate(n, tag) {
  const rows = ["url,slug"];
  for (let i = 1; i <= n; i++) {
    const url = i % 997 === 0 ? "not an address" : "https://example.com/article/" + i;
    rows.push(url + "," + tag + i.toString(36));
  }
  return rows.join("\n") + "\n";
}
