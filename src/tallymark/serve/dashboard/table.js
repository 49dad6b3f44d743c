// Tables that are sorted by what their reader wants, and rewritten in place: focus and selection stay where they are.

const FIRST_ROWS = 50;

class Table {
  /**
   * `columns`: each {key, label, title, isNumber, value(row) to sort by, make(row) -> nodes, update(cell, row)}. Where there is
   * no `make`, `text(row)` is written. `keyOf(row)` tells rows apart.
   */
  constructor({ caption, columns, keyOf, sort = null, isDescending = true, onSelect = null, detail = null }) {
    Object.assign(this, { columns, keyOf, sortKey: sort, isDescending, onSelect, detail });
    this.rows = [];
    this.shown = new Map(); // key -> {tr, cells}
    this.most = FIRST_ROWS;
    this.body = h("tbody", {});
    this.heads = columns.map((column) => this._head(column));
    this.more = h("button", { class: "more", type: "button", onclick: () => this._showMore() });
    const table = h(
      "table",
      {},
      h("caption", { class: "hidden" }, caption),
      h("thead", {}, h("tr", {}, this.heads)),
      this.body,
    );
    const scroller = h("div", { class: "table-scroll", tabindex: -1 }, table);
    this.element = h("div", { class: "table-frame" }, scroller, this.more);
  }

  _head(column) {
    const attributes = { scope: "col", class: this._class(column), title: column.title };
    if (!column.value) return h("th", attributes, column.label);
    const button = h(
      "button",
      { type: "button", class: "sort", onclick: () => this._sortBy(column) },
      column.label,
      h("span", { class: "sort-mark", "aria-hidden": "true" }),
    );
    return h("th", attributes, button);
  }

  _class(column) {
    return [`col-${column.key}`, column.isNumber && "number"].filter(Boolean).join(" ");
  }

  _sortBy(column) {
    this.isDescending = this.sortKey === column.key ? !this.isDescending : Boolean(column.isNumber);
    this.sortKey = column.key;
    this.draw(this.rows);
  }

  _showMore() {
    this.most = Infinity;
    this.draw(this.rows);
  }

  draw(rows) {
    this.rows = rows;
    const sorted = this._sorted(rows);
    const visibleRows = sorted.slice(0, this.most);
    const keys = new Set(visibleRows.map(this.keyOf));
    for (const [key, { tr }] of this.shown) {
      if (!keys.has(key)) {
        tr.remove();
        this.shown.delete(key);
      }
    }
    let after = null;
    for (const row of visibleRows) after = this._place(row, after);
    this._mark();
    this.more.hidden = sorted.length <= this.most;
    write(this.more, `Show all ${whole(sorted.length)}`);
  }

  _sorted(rows) {
    const column = this.columns.find((one) => one.key === this.sortKey);
    if (!column) return rows;
    const way = this.isDescending ? -1 : 1;
    const last = (value) => value === undefined || Number.isNaN(value);
    return [...rows].sort((a, b) => {
      const [left, right] = [column.value(a), column.value(b)];
      if (last(left) || last(right)) return last(left) - last(right);
      return left < right ? -way : left > right ? way : this.keyOf(a) < this.keyOf(b) ? -1 : 1;
    });
  }

  /** Put a row after another, and what belongs to it; return the last element of it. */
  _place(row, after) {
    const shown = this._shown(row);
    const next = after ? after.nextSibling : this.body.firstChild;
    if (next !== shown.tr) this.body.insertBefore(shown.tr, next);
    this.columns.forEach((column, at) => {
      if (column.update) column.update(shown.cells[at], row);
      else if (column.text) write(shown.cells[at], column.text(row));
    });
    return this._placeDetail(row, shown.tr);
  }

  _placeDetail(row, tr) {
    if (!this.detail || this.detail.key !== this.keyOf(row)) return tr;
    if (tr.nextSibling !== this.detail.tr) this.body.insertBefore(this.detail.tr, tr.nextSibling);
    return this.detail.tr;
  }

  _shown(row) {
    const key = this.keyOf(row);
    let shown = this.shown.get(key);
    if (!shown) {
      const cells = this.columns.map((column, at) => {
        const cell = h(at ? "td" : "th", { class: this._class(column), scope: at ? null : "row" });
        if (column.make) cell.append(...[column.make(row, cell)].flat());
        return cell;
      });
      shown = { tr: h("tr", {}, cells), cells };
      if (this.onSelect) shown.tr.addEventListener("click", (event) => event.target.closest("button, a") || this.onSelect(row));
      this.shown.set(key, shown);
    }
    return shown;
  }

  _mark() {
    this.columns.forEach((column, at) => {
      const way = this.sortKey === column.key ? (this.isDescending ? "descending" : "ascending") : null;
      mark(this.heads[at], "aria-sort", way);
    });
  }
}
