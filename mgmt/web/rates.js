// How fast counters go, from one look at them to the next.

export class Rates {
    #before = new Map(); // key: {ms, counters}
    #rates = new Map();

    // Returns {name: a second, or null where that isn't known yet}. What is asked for again within half a second is
    // answered as before: two clocks are never so exact.
    update(key, counters, ms) {
        const before = this.#before.get(key);
        if (before && ms - before.ms < 500)
            return this.#rates.get(key);
        const rates = {};
        for (const [name, value] of Object.entries(counters || {})) {
            if (typeof value !== 'number')
                continue;
            const old = before?.counters[name];
            // One that has gone down has begun anew: the broker was started again.
            rates[name] = old === undefined || value < old ? null : (value - old) * 1000 / (ms - before.ms);
        }
        this.#before.set(key, {ms, counters: {...counters}});
        this.#rates.set(key, rates);
        return rates;
    }

    // Forgets those that aren't looked at any more.
    keep(keys) {
        const kept = new Set(keys);
        for (const key of [...this.#before.keys()])
            if (!kept.has(key)) {
                this.#before.delete(key);
                this.#rates.delete(key);
            }
    }
}

// Points in time of some lines, as uPlot draws them: [[s], [line], ...].
export class History {
    constructor(lines, keepS) {
        this.lines = lines;
        this.keepS = keepS;
        this.data = [[], ...lines.map(() => [])];
    }

    add(s, values) {
        const [times] = this.data;
        if (times.length && s <= times.at(-1))
            return;
        // Nobody looked for a while: a hole, not a line across it.
        if (times.length && s - times.at(-1) > 10)
            this.#push(times.at(-1) + 1, () => null);
        this.#push(s, name => values[name] ?? null);
        while (times[0] < s - this.keepS)
            this.data.forEach(line => line.shift());
    }

    #push(s, valueOf) {
        this.data[0].push(s);
        this.lines.forEach((name, i) => this.data[i + 1].push(valueOf(name)));
    }
}
