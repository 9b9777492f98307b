/** A running search. */
export interface SearchTicket {
  /** The gallery version that the search sees. */
  readonly version: number;
  /** The instant that it compares limits in time with, in milliseconds since 1970. */
  readonly instantMs: number;
  /** Ordinal number of the search. */
  readonly order: number;
}

interface Deferred {
  readonly waitsFor: (search: SearchTicket) => boolean;
  readonly action: () => void;
}

/**
 * Epoch-based reclamation with one writer: defers actions that would release memory in use. An action runs once every
 * search that it could disturb has ended, or at once when there is none.
 */
export class Reclamation {
  readonly #searches = new Set<SearchTicket>();
  #deferred: Deferred[] = [];
  #order = 0;

  begin(version: number, instantMs: number): SearchTicket {
    const ticket = { version, instantMs, order: ++this.#order };
    this.#searches.add(ticket);
    return ticket;
  }

  end(ticket: SearchTicket): void {
    if (!this.#searches.delete(ticket) || this.#deferred.length === 0) return;
    const due = this.#deferred;
    this.#deferred = [];
    // An action may defer another one, so the list is taken first.
    for (const deferred of due) this.#defer(deferred);
  }

  /** Runs the action when no search of a version before `version` is running. */
  afterSearchesBefore(version: number, action: () => void): void {
    this.#defer({ waitsFor: (search) => search.version < version, action });
  }

  /** Runs the action when the searches running now have ended. */
  afterPresentSearches(action: () => void): void {
    const order = this.#order;
    this.#defer({ waitsFor: (search) => search.order <= order, action });
  }

  #defer(deferred: Deferred): void {
    for (const search of this.#searches) {
      if (deferred.waitsFor(search)) {
        this.#deferred.push(deferred);
        return;
      }
    }
    deferred.action();
  }
}
