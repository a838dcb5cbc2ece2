// Tabs by click and by the arrow keys; which one is open is kept in the address.

export class Tabs {
  /** `opened` gets the name of the tab, such as `state` of `tab-state`. */
  constructor(list, opened) {
    this.tabs = [...list.querySelectorAll('[role="tab"]')];
    this.opened = opened;
    list.addEventListener("click", ({ target }) => this.tabs.includes(target) && this.open(nameOf(target)));
    list.addEventListener("keydown", (event) => this._key(event));
  }

  open(name) {
    this.current = name;
    for (const tab of this.tabs) {
      const chosen = nameOf(tab) === name;
      tab.setAttribute("aria-selected", String(chosen));
      tab.tabIndex = chosen ? 0 : -1;
      document.getElementById(tab.getAttribute("aria-controls")).hidden = !chosen;
    }
    this.opened(name);
  }

  _key(event) {
    const at = this.tabs.indexOf(document.activeElement);
    const moves = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: this.tabs.length - 1 };
    if (at < 0 || !(event.key in moves)) return;
    event.preventDefault();
    const next = this.tabs[(moves[event.key] + this.tabs.length) % this.tabs.length];
    next.focus();
    this.open(nameOf(next));
  }
}

const nameOf = (tab) => tab.id.replace("tab-", "");
