// Lines over time, by uPlot, in the colours of the style sheet.
import uPlot from './uPlot.js';
import {el} from './dom.js';

const dark = matchMedia('(prefers-color-scheme: dark)');
const drawn = new Set();

function colour(name) {
    return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function hour(s) {
    const at = new Date(s * 1000);
    return [at.getHours(), at.getMinutes(), at.getSeconds()].map(number => String(number).padStart(2, '0')).join(':');
}

// One that redraws itself when data come, and when its place or the colours change.
export class Chart {
    // lines: [{name, label, colour}], colour a variable of the style sheet. text: of a value.
    constructor(key, label, lines, text) {
        this.lines = lines;
        this.text = text;
        this.key = key;
        this.label = label;
        this.sized = new ResizeObserver(() => this.plot?.setSize(this.size()));
        drawn.add(this);
    }

    // Where it will be.
    element() {
        return el('div', {class: 'chart', 'data-keep': true, 'data-key': this.key, role: 'img', 'aria-label': this.label});
    }

    size() {
        return {width: Math.max(this.place.clientWidth, 100), height: 180};
    }

    options() {
        const axis = {stroke: colour('--dim'), font: '11px system-ui, sans-serif', grid: {stroke: colour('--line'), width: 1}, ticks: {show: false}};
        return {
            ...this.size(), padding: [8, 30, 0, 0], legend: {show: false}, cursor: {y: false, points: {size: 6}},
            scales: {y: {range: (plot, least, most) => [0, Math.max(most || 0, 1) * 1.1]}},
            axes: [{...axis, space: 80, size: 28, values: (plot, times) => times.map(hour)},
                   {...axis, size: 62, space: 36, values: (plot, values) => values.map(this.text)}],
            series: [{}, ...this.lines.map(line => ({label: line.label, stroke: colour(line.colour), width: 1.75, dash: line.dash, points: {show: false},
                                                      fill: this.lines.length === 1 ? colour(line.colour) + '22' : undefined}))],
        };
    }

    draw(data) {
        this.data = data;
        const place = document.querySelector(`.chart[data-key="${this.key}"]`);
        if (place !== this.place) { // the page was left, and is back
            this.sized.disconnect();
            this.plot?.destroy();
            this.plot = null;
            this.place = place;
            this.sized.observe(place);
        }
        if (!this.plot)
            this.plot = new uPlot(this.options(), data, this.place);
        else
            this.plot.setData(data);
    }

    again() {
        this.plot?.destroy();
        this.plot = null;
        if (this.place?.isConnected)
            this.draw(this.data);
    }
}

dark.addEventListener('change', () => drawn.forEach(chart => chart.again()));

// What the lines are, and where they stand now: values by the lines' names.
export function legend(lines, values, text) {
    return el('ul', {class: 'legend'}, lines.map(line => el('li', {}, el('span', {class: `swatch ${line.colour.slice(2)}`}), line.label,
        el('b', {}, text(values[line.name])))));
}
