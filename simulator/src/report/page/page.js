'use strict';
// Only comfort: the page can be read without it. Copies the command, and follows the pointer with the time.
for (const button of document.querySelectorAll('[data-copy]')) {
  const words = document.getElementById(button.dataset.copy);
  button.hidden = false;
  button.addEventListener('click', async () => {
    try {
      await navigator.clipboard.writeText(words.textContent);
      button.textContent = 'copied';
    } catch {
      getSelection().selectAllChildren(words);
      button.textContent = 'selected';
    }
    setTimeout(() => { button.textContent = 'copy'; }, 1500);
  });
}
const LEFT = 118, RIGHT = 1040;
const charts = [...document.querySelectorAll('svg.time')];
const tip = document.body.appendChild(document.createElement('div'));
tip.className = 'tip';
tip.hidden = true;
for (const chart of charts) {
  chart.cursor = chart.appendChild(chart.querySelector('path').cloneNode());
  chart.cursor.setAttribute('class', 'cursor');
  chart.cursor.setAttribute('d', '');
}
const hide = () => {
  tip.hidden = true;
  for (const chart of charts) chart.cursor.setAttribute('d', '');
};
for (const chart of charts) {
  chart.addEventListener('pointerleave', hide);
  chart.addEventListener('pointermove', (event) => {
    const box = chart.getBoundingClientRect();
    const scale = chart.viewBox.baseVal.width / box.width;
    const x = (event.clientX - box.left) * scale;
    if (x < LEFT || x > RIGHT) return hide();
    for (const other of charts) other.cursor.setAttribute('d', `M${x} 0V${other.viewBox.baseVal.height}`);
    const seconds = (x - LEFT) / (RIGHT - LEFT) * chart.dataset.end / 1e6;
    const words = [`${seconds.toFixed(seconds < 100 ? 2 : 0)} s`];
    const raster = chart.querySelector('.raster');
    if (raster) {
      const place = Math.floor(((event.clientY - box.top) * scale - raster.dataset.top) / raster.dataset.each);
      const node = raster.dataset.nodes.split(',')[place];
      if (node !== undefined) {
        const rank = raster.dataset.ranks.split(',')[place];
        words.push(`machine ${node}`, rank ? `rank ${rank}` : 'no rank');
        if (event.target.dataset.state) words.push(event.target.dataset.state);
      }
    }
    tip.textContent = words.join(' · ');
    tip.hidden = false;
    tip.style.left = `${Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8)}px`;
    tip.style.top = `${event.clientY + 18}px`;
  });
}
