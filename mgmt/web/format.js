// Numbers as people read them.

const NARROW = '\u202f';

function scaled(value, steps, base) {
    let at = 0;
    let rest = Math.abs(value);
    while (at < steps.length - 1 && rest >= base) {
        rest /= base;
        at++;
    }
    const digits = at === 0 || rest >= 100 ? 0 : rest >= 10 ? 1 : 2;
    return (value < 0 ? '-' : '') + rest.toFixed(digits) + (steps[at] ? NARROW + steps[at] : '');
}

export function count(value) {
    return typeof value === 'number' && isFinite(value) ? Math.round(value).toLocaleString('en-US').replaceAll(',', NARROW) : '–';
}

export function bytes(value) {
    return typeof value === 'number' && isFinite(value) ? scaled(value, ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'], 1024) : '–';
}

export function short(value) {
    return typeof value !== 'number' || !isFinite(value) ? '–' : Math.abs(value) < 10000 ? count(value) : scaled(value, ['', 'k', 'M', 'G', 'T'], 1000);
}

// Things in a second; null: not known yet.
export function rate(value) {
    if (typeof value !== 'number' || !isFinite(value))
        return '–';
    return (value > 0 && value < 10 && !Number.isInteger(value) ? value.toFixed(1) : short(value)) + '/s';
}

export function nanoseconds(value) {
    return typeof value === 'number' && isFinite(value) ? scaled(value, ['ns', 'µs', 'ms', 's'], 1000) : '–';
}

export function milliseconds(value) {
    const seconds = Math.floor(value / 1000);
    const days = Math.floor(seconds / 86400), hours = Math.floor(seconds / 3600) % 24, minutes = Math.floor(seconds / 60) % 60;
    const parts = [[days, 'd'], [hours, 'h'], [minutes, 'min'], [seconds % 60, 's']];
    const first = parts.findIndex(([number]) => number > 0);
    return first < 0 ? '0 s' : parts.slice(first, first + 2).map(([number, unit]) => `${number} ${unit}`).join(' ');
}

export function when(ms) {
    return ms ? new Date(ms).toISOString().replace('T', ' ').slice(0, 19) + ' UTC' : '–';
}

export function trimmed(text, length) {
    const letters = [...text];
    return letters.length <= length ? text : letters.slice(0, length - 1).join('') + '…';
}
