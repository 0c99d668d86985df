// Who logs in.
import {el, show} from './dom.js';
import {ApiError, get, keepLogin, logIn, logOut, path} from './api.js';

function whatIsWrong(error) {
    if (!(error instanceof ApiError))
        return error.message;
    if (error.status === 401 && error.word === 'not_authorized')
        return 'User or password is wrong.';
    return error.message;
}

// Logins of an address from which some have failed are slowed down: then this is, too.
async function whoami(alert) {
    for (let tries = 5; ; tries--)
        try {
            return await get(path('whoami'));
        } catch (error) {
            if (error.status !== 429 || !tries)
                throw error;
            alert.textContent = `Logins from here have failed: this one is tried in ${error.retryS} s.`;
            alert.hidden = false;
            await new Promise(done => setTimeout(done, error.retryS * 1000));
        }
}

// Shows the form; done(who) is called with what /api/whoami says.
export function askLogin(main, said, done) {
    const alert = el('p', {class: 'alert', role: 'alert', hidden: !said}, said || '');
    const user = el('input', {id: 'user', name: 'user', autocomplete: 'username', autocapitalize: 'off', spellcheck: 'false', required: true});
    const password = el('input', {id: 'password', name: 'password', type: 'password', autocomplete: 'current-password'});
    const submit = el('button', {type: 'submit', class: 'primary'}, 'Log in');
    const form = el('form', {class: 'login card'}, el('img', {src: 'icon.svg', alt: '', width: 44, height: 44}), el('h1', {}, 'Gannet'),
        el('div', {class: 'field'}, el('label', {for: 'user'}, 'User'), user), el('div', {class: 'field'}, el('label', {for: 'password'}, 'Password'), password), alert, submit);
    form.onsubmit = async event => {
        event.preventDefault();
        submit.disabled = true;
        try {
            if (user.value.includes(':'))
                throw new Error('A user with a colon in the name can’t log in over HTTP.');
            logIn(user.value, password.value);
            const who = await whoami(alert);
            keepLogin();
            done(who);
        } catch (error) {
            logOut();
            alert.textContent = whatIsWrong(error);
            alert.hidden = false;
            password.select();
        }
        submit.disabled = false;
    };
    show(main, form);
    user.focus();
}
