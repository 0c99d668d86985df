// Forms in dialogs, questions, and the line at the bottom that says what came of it.
import {el, show} from './dom.js';

let toastTimer = 0;

export function toast(text, isBad = false) {
    const line = document.getElementById('toast');
    clearTimeout(toastTimer);
    line.className = isBad ? 'bad' : '';
    line.textContent = text;
    toastTimer = setTimeout(() => { line.textContent = ''; }, isBad ? 12000 : 5000);
}

let lastId = 0;

// field: {name, label, type, value, options, hint, required, rows}. type: text, password, number, checkbox, select, lines, json.
function control(field, id) {
    const common = {id, name: field.name, required: field.required, 'aria-describedby': field.hint ? id + '-hint' : null};
    switch (field.type) {
    case 'select':
        return el('select', common, field.options.map(option =>
            el('option', {value: option, selected: option === field.value}, field.labels?.[option] ?? option)));
    case 'lines':
    case 'json':
        return el('textarea', {...common, rows: field.rows || 3, spellcheck: 'false', autocapitalize: 'off'}, field.value ?? '');
    case 'checkbox':
        return el('input', {...common, type: 'checkbox', checked: field.value});
    default:
        return el('input', {...common, type: field.type || 'text', value: field.value ?? '', min: field.min, max: field.max, autocomplete: field.type === 'password' ? 'new-password' : 'off',
                            autocapitalize: 'off', spellcheck: 'false'});
    }
}

function row(field) {
    const id = `field-${++lastId}`;
    const label = el('label', {for: id}, field.label);
    const hint = field.hint ? el('p', {class: 'hint', id: id + '-hint'}, field.hint) : null;
    const input = control(field, id);
    return field.type === 'checkbox' ? el('div', {class: 'field check'}, input, label, hint) : el('div', {class: 'field'}, label, input, hint);
}

function jsonOf(field, text) {
    let value;
    if (!text.trim())
        return {};
    try {
        value = JSON.parse(text);
    } catch (error) {
        throw new Error(`${field.label}: ${error.message}`);
    }
    if (value === null || typeof value !== 'object' || Array.isArray(value))
        throw new Error(`${field.label}: not a JSON object, such as {"x-max-length": 1000}`);
    return value;
}

function valuesOf(form, fields) {
    const values = {};
    for (const field of fields) {
        const input = form.elements.namedItem(field.name);
        values[field.name] = field.type === 'checkbox' ? input.checked : field.type === 'number' ? Number(input.value)
            : field.type === 'json' ? jsonOf(field, input.value) : input.value;
    }
    return values;
}

// Asks for the fields' values and does something with them: its error is shown and the dialog stays, what it returns is
// said when it is gone. more: what stands under the fields. danger: it can't be taken back.
export function ask({title, text, fields = [], button, danger, wide, act}) {
    const alert = el('p', {class: 'alert', role: 'alert', hidden: true});
    const id = `dialog-${++lastId}`;
    const submit = el('button', {type: 'submit', class: danger ? 'danger' : 'primary'}, button);
    const form = el('form', {}, el('h2', {id}, title), text ? el('p', {}, text) : null, fields.map(row), alert,
        el('div', {class: 'buttons'}, el('button', {type: 'button', onclick: () => dialog.close()}, 'Cancel'), submit));
    const dialog = el('dialog', {'aria-labelledby': id, class: wide ? 'wide' : null}, form);
    form.onsubmit = async event => {
        event.preventDefault();
        submit.disabled = true;
        alert.hidden = true;
        try {
            const said = await act(valuesOf(form, fields));
            dialog.close();
            if (said)
                toast(said);
        } catch (error) {
            alert.textContent = error.message;
            alert.hidden = false;
        }
        submit.disabled = false;
    };
    dialog.addEventListener('close', () => dialog.remove());
    document.body.append(dialog);
    dialog.showModal();
    if (!fields.length)
        submit.focus();
    return dialog;
}

export function tell(title, ...nodes) {
    const id = `dialog-${++lastId}`;
    const close = el('button', {type: 'button', class: 'primary', onclick: () => dialog.close()}, 'Close');
    const dialog = el('dialog', {'aria-labelledby': id, class: 'wide'});
    show(dialog, el('h2', {id}, title), nodes, el('div', {class: 'buttons'}, close));
    dialog.addEventListener('close', () => dialog.remove());
    document.body.append(dialog);
    dialog.showModal();
    close.focus();
    return dialog;
}
