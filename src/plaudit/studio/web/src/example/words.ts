import { define } from "../i18n";

export const words = define({
  en: {
    title: "An example",
    text: "The rest of the address is “{part}”.",
    answers: "{n} {n:answer|answers} so far",
  },
  zh: {
    title: "示例",
    text: "地址的其余部分是“{part}”。",
    answers: "目前共 {n} 个回答",
  },
});
